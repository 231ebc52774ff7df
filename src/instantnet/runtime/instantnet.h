/* Runs switchable-precision networks (model.spnet) from C and from anything that can call C.
 *
 * Load a model once; open a session for each thread; switch the bit-width between two images.
 * Functions return a status; when it is not INSTANTNET_OK, instantnet_last_error() has a sentence
 * that says what was wrong and what would be right. A session whose call failed is as it was.
 * Nothing here throws, prints or exits. C89. */
#ifndef INSTANTNET_H
#define INSTANTNET_H

#include <stddef.h>

#if defined(_WIN32)
#define INSTANTNET_API
#else
#define INSTANTNET_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum instantnet_status {
  INSTANTNET_OK = 0,
  INSTANTNET_BAD_ARGUMENT = 1, /* a width the model does not have, an image of another size, ... */
  INSTANTNET_BAD_FILE = 2,     /* missing, cut short, changed, or of a newer version */
  INSTANTNET_NULL = 3,         /* a pointer that must not be null is */
  INSTANTNET_NO_MEMORY = 4,
  INSTANTNET_INTERNAL = 5 /* a mistake of the library: please report it */
} instantnet_status;

/* Where the weights of all bit-widths are. */
typedef enum instantnet_residency {
  INSTANTNET_RESIDENT = 0,  /* in memory: a switch moves a pointer */
  INSTANTNET_ON_DEMAND = 1, /* derived from the stored weights at each switch: least memory */
  INSTANTNET_FIRST_USE = 2  /* derived when a width is first asked for, then as resident: the
                               shortest  way from a file to the first image */
} instantnet_residency;

typedef struct instantnet_model instantnet_model;     /* immutable: share it among threads */
typedef struct instantnet_session instantnet_session; /* one image at a time */

/* "0.1.0". */
INSTANTNET_API const char* instantnet_version(void);

/* The sentence of the last call of this thread that failed; "" before. Valid until the next one
 * fails. */
INSTANTNET_API const char* instantnet_last_error(void);

/* ---- Models. */

/* Loads a file. `residency` is an instantnet_residency; `kernels` is "auto" or NULL for the fastest
 * this processor runs, or a name such as "portable". The file is mapped: while the model or a
 * session of it is in use the file may be replaced (renamed over) or removed, but not changed in
 * place. On failure *model is NULL. */
INSTANTNET_API instantnet_status instantnet_model_load(const char* path, const char* kernels,
                                                       int residency, instantnet_model** model);
/* The same from the file's bytes, which are not needed afterwards. */
INSTANTNET_API instantnet_status instantnet_model_load_bytes(const void* bytes, size_t count,
                                                             const char* kernels, int residency,
                                                             instantnet_model** model);
/* Sessions of the model stay usable. NULL is allowed. */
INSTANTNET_API void instantnet_model_free(instantnet_model* model);

/* What it takes and gives. Any of the pointers behind `model` may be NULL. */
INSTANTNET_API instantnet_status instantnet_model_input(const instantnet_model* model,
                                                        size_t* height, size_t* width,
                                                        size_t* channels);
INSTANTNET_API instantnet_status instantnet_model_classes(const instantnet_model* model,
                                                          size_t* classes);
/* Name of a class: "" when the file has none. Valid as long as the model. */
INSTANTNET_API instantnet_status instantnet_model_class_name(const instantnet_model* model,
                                                             size_t index, const char** name);
/* The bit-widths, ascending: *count of them, valid as long as the model. 32 is float32. */
INSTANTNET_API instantnet_status instantnet_model_bits(const instantnet_model* model,
                                                       const int** bits, size_t* count);
/* Convolutions and linear layers, and their names. */
INSTANTNET_API instantnet_status instantnet_model_layers(const instantnet_model* model,
                                                         size_t* count);
INSTANTNET_API instantnet_status instantnet_model_layer_name(const instantnet_model* model,
                                                             size_t index, const char** name);
/* The set of kernels in use, such as "portable". */
INSTANTNET_API instantnet_status instantnet_model_kernels(const instantnet_model* model,
                                                          const char** name);

/* ---- Sessions. */

/* `threads` (1 .. 256) compute one image together; results are the same for any number. Starts at
 * the highest width below 32; unless the model is resident, the first run prepares it when no other
 * was chosen before. On failure *session is NULL. */
INSTANTNET_API instantnet_status instantnet_session_create(const instantnet_model* model,
                                                           int threads,
                                                           instantnet_session** session);
INSTANTNET_API void instantnet_session_free(instantnet_session* session); /* NULL is allowed */

/* The whole network at one of the model's bit-widths. */
INSTANTNET_API instantnet_status instantnet_session_set_bits(instantnet_session* session, int bits);
/* One bit-width a layer for its weights and one for its input: `count` of each, 1 or the number of
 * layers. */
INSTANTNET_API instantnet_status instantnet_session_set_precisions(instantnet_session* session,
                                                                   const int* weight_bits,
                                                                   const int* activation_bits,
                                                                   size_t count);

/* One image: height * width * channels pixels 0 .. 255, row by row, the channels of a pixel
 * together. Allocates no memory. */
INSTANTNET_API instantnet_status instantnet_session_run(instantnet_session* session,
                                                        const unsigned char* pixels, size_t count);
/* The same from pixels / 255; below 32 bits rounded to the nearest of 0 .. 255. */
INSTANTNET_API instantnet_status instantnet_session_run_float(instantnet_session* session,
                                                              const float* pixels, size_t count);

/* Of the last image: one number a class, valid as long as the session, changed by the next run. */
INSTANTNET_API instantnet_status instantnet_session_logits(const instantnet_session* session,
                                                           const float** logits, size_t* count);
/* The class with the largest logit, the first of equals. */
INSTANTNET_API instantnet_status instantnet_session_predicted(const instantnet_session* session,
                                                              size_t* index);

/* ---- Policies: which bit-width next, when the budget changes from one inference to the next. */

typedef struct instantnet_policy instantnet_policy; /* for one thread at a time */

/* `count` bit-widths, each with what an inference costs (energy, time: in the unit of the budgets)
 * and its accuracy (any scale, only the order counts; NULL: more bits are more accurate). Down at
 * once; up to a dearer width when the budget was enough for it `hold` (>= 1) inferences in a row,
 * or is at least (1 + margin) times its cost (margin 0: only `hold` counts). When no width fits:
 * the cheapest one, or none with `skip` other than 0. On failure *policy is NULL. */
INSTANTNET_API instantnet_status instantnet_policy_create(const int* bits, const double* costs,
                                                          const double* accuracies, size_t count,
                                                          long hold, double margin, int skip,
                                                          instantnet_policy** policy);
/* The bit-width of the next inference, the most accurate one within the budget; 0: skip it.
 * *fits (may be NULL) is 0 when the width costs more than the budget. */
INSTANTNET_API instantnet_status instantnet_policy_next(instantnet_policy* policy, double budget,
                                                        int* bits, int* fits);
INSTANTNET_API void instantnet_policy_free(instantnet_policy* policy); /* NULL is allowed */

#ifdef __cplusplus
}
#endif

#endif /* INSTANTNET_H */
