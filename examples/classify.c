/* Classifies one picture at every bit-width of a model: classify MODEL.spnet [PICTURE.ppm]
 *
 * The picture is a binary PPM or PGM (P6, P5) of the network's size; without one, a pattern. */
#include <instantnet/runtime/instantnet.h>
#include <stdio.h>
#include <stdlib.h>

/* Prints what went wrong, if anything did. */
static int failed(instantnet_status status) {
  if (status != INSTANTNET_OK) fprintf(stderr, "classify: %s\n", instantnet_last_error());
  return status != INSTANTNET_OK;
}

/* Fills `pixels` from a file of exactly this size; 0 on success. */
static int read_picture(const char* path, size_t height, size_t width, size_t channels,
                        unsigned char* pixels) {
  const size_t count = height * width * channels;
  unsigned long w = 0, h = 0, most = 0;
  char kind = 0;
  int bad;
  FILE* file = fopen(path, "rb");
  if (file == NULL) {
    fprintf(stderr, "classify: %s cannot be read.\n", path);
    return 1;
  }
  bad = fscanf(file, "P%c %lu %lu %lu", &kind, &w, &h, &most) != 4 || fgetc(file) == EOF ||
        kind != (channels == 3 ? '6' : '5') || w != width || h != height || most != 255 ||
        fread(pixels, 1, count, file) != count;
  fclose(file);
  if (bad)
    fprintf(stderr, "classify: %s is no binary picture of %lu x %lu pixels of %lu channels.\n",
            path, (unsigned long)height, (unsigned long)width, (unsigned long)channels);
  return bad;
}

/* One image at one bit-width. */
static int classify(const instantnet_model* model, instantnet_session* session, int bits,
                    const unsigned char* pixels, size_t count) {
  const float* logits = NULL;
  const char* name = "";
  size_t classes = 0, best = 0;
  if (failed(instantnet_session_set_bits(session, bits)) ||
      failed(instantnet_session_run(session, pixels, count)) ||
      failed(instantnet_session_predicted(session, &best)) ||
      failed(instantnet_session_logits(session, &logits, &classes)) ||
      failed(instantnet_model_class_name(model, best, &name)))
    return 1;
  printf("%2d bits: class %lu %s (%.4f)\n", bits, (unsigned long)best, name, logits[best]);
  return 0;
}

static int classify_all(const instantnet_model* model, const char* picture) {
  instantnet_session* session = NULL;
  unsigned char* pixels;
  const int* bits = NULL;
  size_t widths = 0, height = 0, width = 0, channels = 0, count, i;
  int bad;
  if (failed(instantnet_model_bits(model, &bits, &widths)) ||
      failed(instantnet_model_input(model, &height, &width, &channels)) ||
      failed(instantnet_session_create(model, 1, &session)))
    return 1;
  count = height * width * channels;
  pixels = (unsigned char*)malloc(count);
  bad = pixels == NULL;
  for (i = 0; !bad && i < count; ++i) pixels[i] = (unsigned char)(i * 7 % 256);
  if (!bad && picture != NULL) bad = read_picture(picture, height, width, channels, pixels);
  for (i = 0; !bad && i < widths; ++i) bad = classify(model, session, bits[i], pixels, count);
  free(pixels);
  instantnet_session_free(session);
  return bad;
}

int main(int argc, char** argv) {
  instantnet_model* model = NULL;
  int bad;
  if (argc < 2 || argc > 3) {
    fprintf(stderr, "usage: classify MODEL.spnet [PICTURE.ppm]\n");
    return 2;
  }
  if (failed(instantnet_model_load(argv[1], "auto", INSTANTNET_RESIDENT, &model))) return 1;
  bad = classify_all(model, argc == 3 ? argv[2] : NULL);
  instantnet_model_free(model);
  return bad;
}
