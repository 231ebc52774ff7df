// instantnet.h over Model and Session. No exception leaves this file.
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/runtime/instantnet.h"
#include "instantnet/runtime/policy.h"
#include "instantnet/runtime/session.h"

struct instantnet_model {
  std::shared_ptr<const instantnet::runtime::Model> model;
};

struct instantnet_session {
  instantnet::runtime::Session session;
};

struct instantnet_policy {
  instantnet::runtime::Policy policy;
};

namespace {

using instantnet::Error;
using instantnet::fail;
using instantnet::FileBytes;
using instantnet::map_file;
using instantnet::Precision;
using namespace instantnet::runtime;  // NOLINT: this file is that room's border

/// A fixed buffer, so that keeping a sentence cannot fail.
thread_local char last_error[1024] = "";

instantnet_status refuse(instantnet_status status, const char* sentence) {
  std::snprintf(last_error, sizeof last_error, "%s", sentence);
  return status;
}

/// Runs `call`; what it throws becomes a status (an Error `on_error`) and a sentence.
template <class Call>
instantnet_status guarded(instantnet_status on_error, const Call& call) noexcept {
  try {
    call();
    return INSTANTNET_OK;
  } catch (const Error& error) {
    return refuse(on_error, error.what());
  } catch (const std::bad_alloc&) {
    return refuse(INSTANTNET_NO_MEMORY, "there is not enough memory.");
  } catch (const std::exception& error) {
    return refuse(INSTANTNET_INTERNAL, error.what());
  } catch (...) {
    return refuse(INSTANTNET_INTERNAL, "something unknown was thrown.");
  }
}

instantnet_status null(const char* what) {
  std::snprintf(last_error, sizeof last_error, "the %s is null; give one.", what);
  return INSTANTNET_NULL;
}

Residency residency_of(int residency) {
  switch (residency) {
    case INSTANTNET_RESIDENT:
      return Residency::Resident;
    case INSTANTNET_ON_DEMAND:
      return Residency::OnDemand;
    case INSTANTNET_FIRST_USE:
      return Residency::FirstUse;
    default:
      fail("residency", "it is " + std::to_string(residency) +
                            "; give INSTANTNET_RESIDENT, INSTANTNET_ON_DEMAND or "
                            "INSTANTNET_FIRST_USE.");
  }
}

ModelOptions options_of(const char* kernels, int residency) {
  return {kernels == nullptr ? "auto" : kernels, residency_of(residency)};
}

/// `make` with options; wrong options are the caller's, all else the file's.
template <class Make>
instantnet_status load(const char* kernels, int residency, const Make& make,
                       instantnet_model** model) {
  ModelOptions options;
  const instantnet_status status = guarded(INSTANTNET_BAD_ARGUMENT, [&] {
    options = options_of(kernels, residency);
    kernels_called(options.kernels);
  });
  if (status != INSTANTNET_OK) return status;
  return guarded(INSTANTNET_BAD_FILE, [&] {
    auto made = std::make_unique<instantnet_model>();
    made->model = make(options);
    *model = made.release();
  });
}

const instantnet::runtime::IntModel& integers(const instantnet_model* model) {
  return model->model->integers();
}

instantnet_status out_of_range(const char* what, size_t index, size_t count) {
  std::snprintf(last_error, sizeof last_error, "%s %zu does not exist; there are %zu.", what, index,
                count);
  return INSTANTNET_BAD_ARGUMENT;
}

}  // namespace

const char* instantnet_version(void) { return INSTANTNET_VERSION; }

const char* instantnet_last_error(void) { return last_error; }

instantnet_status instantnet_model_load(const char* path, const char* kernels, int residency,
                                        instantnet_model** model) {
  if (model == nullptr) return null("place for the model");
  *model = nullptr;
  if (path == nullptr) return null("path");
  return load(
      kernels, residency,
      [&](const ModelOptions& options) {
        const FileBytes file = map_file(path);
        return Model::parse(file.bytes, path, options, file.keeper);
      },
      model);
}

instantnet_status instantnet_model_load_bytes(const void* bytes, size_t count, const char* kernels,
                                              int residency, instantnet_model** model) {
  if (model == nullptr) return null("place for the model");
  *model = nullptr;
  if (bytes == nullptr) return null("address of the model's bytes");
  const std::string_view text(static_cast<const char*>(bytes), count);
  return load(
      kernels, residency,
      [&](const ModelOptions& options) { return Model::parse(text, "model in memory", options); },
      model);
}

void instantnet_model_free(instantnet_model* model) { delete model; }

instantnet_status instantnet_model_input(const instantnet_model* model, size_t* height,
                                         size_t* width, size_t* channels) {
  if (model == nullptr) return null("model");
  const instantnet::NetworkSpec& spec = integers(model).spec;
  if (height != nullptr) *height = static_cast<size_t>(spec.height);
  if (width != nullptr) *width = static_cast<size_t>(spec.width);
  if (channels != nullptr) *channels = static_cast<size_t>(spec.channels);
  return INSTANTNET_OK;
}

instantnet_status instantnet_model_classes(const instantnet_model* model, size_t* classes) {
  if (model == nullptr) return null("model");
  if (classes == nullptr) return null("place for the number of classes");
  *classes = static_cast<size_t>(integers(model).spec.classes);
  return INSTANTNET_OK;
}

instantnet_status instantnet_model_class_name(const instantnet_model* model, size_t index,
                                              const char** name) {
  if (model == nullptr) return null("model");
  if (name == nullptr) return null("place for the name");
  const auto classes = static_cast<size_t>(integers(model).spec.classes);
  if (index >= classes) return out_of_range("class", index, classes);
  *name = integers(model).classes.empty() ? "" : integers(model).classes[index].c_str();
  return INSTANTNET_OK;
}

instantnet_status instantnet_model_bits(const instantnet_model* model, const int** bits,
                                        size_t* count) {
  if (model == nullptr) return null("model");
  if (bits == nullptr || count == nullptr) return null("place for the bit-widths");
  *bits = integers(model).bits.data();
  *count = integers(model).bits.size();
  return INSTANTNET_OK;
}

instantnet_status instantnet_model_layers(const instantnet_model* model, size_t* count) {
  if (model == nullptr) return null("model");
  if (count == nullptr) return null("place for the number of layers");
  *count = integers(model).layers.size();
  return INSTANTNET_OK;
}

instantnet_status instantnet_model_layer_name(const instantnet_model* model, size_t index,
                                              const char** name) {
  if (model == nullptr) return null("model");
  if (name == nullptr) return null("place for the name");
  const size_t layers = integers(model).layers.size();
  if (index >= layers) return out_of_range("layer", index, layers);
  *name = integers(model).layers[index].node.c_str();
  return INSTANTNET_OK;
}

instantnet_status instantnet_model_kernels(const instantnet_model* model, const char** name) {
  if (model == nullptr) return null("model");
  if (name == nullptr) return null("place for the name");
  *name = model->model->kernels().name().data();  // of a literal
  return INSTANTNET_OK;
}

instantnet_status instantnet_session_create(const instantnet_model* model, int threads,
                                            instantnet_session** session) {
  if (session == nullptr) return null("place for the session");
  *session = nullptr;
  if (model == nullptr) return null("model");
  return guarded(INSTANTNET_BAD_ARGUMENT, [&] {
    *session = new instantnet_session{Session(model->model, SessionOptions{threads})};
  });
}

void instantnet_session_free(instantnet_session* session) { delete session; }

instantnet_status instantnet_session_set_bits(instantnet_session* session, int bits) {
  if (session == nullptr) return null("session");
  return guarded(INSTANTNET_BAD_ARGUMENT, [&] { session->session.set_precision({bits, bits}); });
}

instantnet_status instantnet_session_set_precisions(instantnet_session* session,
                                                    const int* weight_bits,
                                                    const int* activation_bits, size_t count) {
  if (session == nullptr) return null("session");
  if (weight_bits == nullptr || activation_bits == nullptr) return null("list of bit-widths");
  return guarded(INSTANTNET_BAD_ARGUMENT, [&] {
    const size_t layers = session->session.model().integers().layers.size();
    if (count != 1 && count != layers)
      fail("set precision", "there are " + std::to_string(count) +
                                " precisions; give one, or one for each of the " +
                                std::to_string(layers) + " layers.");
    std::vector<Precision> precisions;
    for (size_t i = 0; i < count; ++i) precisions.push_back({weight_bits[i], activation_bits[i]});
    session->session.set_precisions(precisions);
  });
}

instantnet_status instantnet_session_run(instantnet_session* session, const unsigned char* pixels,
                                         size_t count) {
  if (session == nullptr) return null("session");
  if (pixels == nullptr) return null("image");
  return guarded(INSTANTNET_BAD_ARGUMENT, [&] { session->session.run(std::span(pixels, count)); });
}

instantnet_status instantnet_session_run_float(instantnet_session* session, const float* pixels,
                                               size_t count) {
  if (session == nullptr) return null("session");
  if (pixels == nullptr) return null("image");
  return guarded(INSTANTNET_BAD_ARGUMENT, [&] { session->session.run(std::span(pixels, count)); });
}

instantnet_status instantnet_session_logits(const instantnet_session* session, const float** logits,
                                            size_t* count) {
  if (session == nullptr) return null("session");
  if (logits == nullptr || count == nullptr) return null("place for the logits");
  *logits = session->session.logits().data();
  *count = session->session.logits().size();
  return INSTANTNET_OK;
}

instantnet_status instantnet_session_predicted(const instantnet_session* session, size_t* index) {
  if (session == nullptr) return null("session");
  if (index == nullptr) return null("place for the class");
  *index = static_cast<size_t>(session->session.predicted());
  return INSTANTNET_OK;
}

instantnet_status instantnet_policy_create(const int* bits, const double* costs,
                                           const double* accuracies, size_t count, long hold,
                                           double margin, int skip, instantnet_policy** policy) {
  if (policy == nullptr) return null("place for the policy");
  *policy = nullptr;
  if (bits == nullptr) return null("list of bit-widths");
  if (costs == nullptr) return null("list of costs");
  return guarded(INSTANTNET_BAD_ARGUMENT, [&] {
    std::vector<PolicyWidth> widths;
    for (size_t i = 0; i < count; ++i)
      widths.push_back({bits[i], costs[i], accuracies == nullptr ? bits[i] : accuracies[i]});
    *policy = new instantnet_policy{Policy(widths, {hold, margin, skip != 0})};
  });
}

instantnet_status instantnet_policy_next(instantnet_policy* policy, double budget, int* bits,
                                         int* fits) {
  if (policy == nullptr) return null("policy");
  if (bits == nullptr) return null("place for the bit-width");
  return guarded(INSTANTNET_BAD_ARGUMENT, [&] {
    const PolicyChoice choice = policy->policy.next(budget);
    *bits = choice.bits;
    if (fits != nullptr) *fits = choice.fits ? 1 : 0;
  });
}

void instantnet_policy_free(instantnet_policy* policy) { delete policy; }
