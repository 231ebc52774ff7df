/* Chooses the bit-width of each image by a budget that changes: budget MODEL.spnet
 *
 * Costs come from a plan (manifest.yaml of a bundle has them); here a width costs its bits. */
#include <instantnet/runtime/instantnet.h>
#include <stdio.h>
#include <stdlib.h>

/* Prints what went wrong, if anything did. */
static int failed(instantnet_status status) {
  if (status != INSTANTNET_OK) fprintf(stderr, "budget: %s\n", instantnet_last_error());
  return status != INSTANTNET_OK;
}

/* One image, at the most accurate width within the budget. */
static int run(instantnet_session* session, instantnet_policy* policy, double budget,
               const unsigned char* pixels, size_t count) {
  int bits = 0, fits = 0;
  size_t best = 0;
  if (failed(instantnet_policy_next(policy, budget, &bits, &fits)) ||
      failed(instantnet_session_set_bits(session, bits)) ||
      failed(instantnet_session_run(session, pixels, count)) ||
      failed(instantnet_session_predicted(session, &best)))
    return 1;
  printf("budget %4.1f: %2d bits%s, class %lu\n", budget, bits, fits ? "" : " (too much)",
         (unsigned long)best);
  return 0;
}

static int run_all(const instantnet_model* model) {
  static const double budgets[] = {9, 3, 8, 8, 8, 1, 40};
  instantnet_session* session = NULL;
  instantnet_policy* policy = NULL;
  unsigned char* pixels = NULL;
  double costs[32];
  const int* bits = NULL;
  size_t widths = 0, height = 0, width = 0, channels = 0, count = 0, i;
  int bad = failed(instantnet_model_bits(model, &bits, &widths)) ||
            failed(instantnet_model_input(model, &height, &width, &channels)) ||
            failed(instantnet_session_create(model, 1, &session));
  for (i = 0; !bad && i < widths; ++i) costs[i] = bits[i];
  /* Up when the budget was enough for 3 images in a row, or is twice what the width takes. */
  bad = bad || failed(instantnet_policy_create(bits, costs, NULL, widths, 3, 1.0, 0, &policy));
  if (!bad) {
    count = height * width * channels;
    pixels = (unsigned char*)calloc(count, 1);
    bad = pixels == NULL;
  }
  for (i = 0; !bad && i < sizeof budgets / sizeof budgets[0]; ++i)
    bad = run(session, policy, budgets[i], pixels, count);
  free(pixels);
  instantnet_policy_free(policy);
  instantnet_session_free(session);
  return bad;
}

int main(int argc, char** argv) {
  instantnet_model* model = NULL;
  int bad;
  if (argc != 2) {
    fprintf(stderr, "usage: budget MODEL.spnet\n");
    return 2;
  }
  if (failed(instantnet_model_load(argv[1], "auto", INSTANTNET_FIRST_USE, &model))) return 1;
  bad = run_all(model);
  instantnet_model_free(model);
  return bad;
}
