// The C++ face of instantnet.h: the same calls on objects that free themselves. Failures throw
// instantnet::Failure on the caller's side of the border. C++17.
#ifndef INSTANTNET_HPP
#define INSTANTNET_HPP

#include <instantnet/runtime/instantnet.h>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace instantnet {

/// What a call of the library refused, with its sentence.
class Failure : public std::runtime_error {
 public:
  explicit Failure(instantnet_status status)
      : std::runtime_error(instantnet_last_error()), status_(status) {}
  instantnet_status status() const noexcept { return status_; }

 private:
  instantnet_status status_;
};

namespace detail {
inline void expect_ok(instantnet_status status) {
  if (status != INSTANTNET_OK) throw Failure(status);
}
}  // namespace detail

/// A loaded model. Copies share it.
class SwitchableNetwork {
 public:
  explicit SwitchableNetwork(const std::string& path, const std::string& kernels = "auto",
                             instantnet_residency residency = INSTANTNET_RESIDENT) {
    instantnet_model* model = nullptr;
    detail::expect_ok(instantnet_model_load(path.c_str(), kernels.c_str(), residency, &model));
    model_.reset(model, &instantnet_model_free);
  }

  struct Input {
    std::size_t height = 0, width = 0, channels = 0;
  };
  Input input() const {
    Input input;
    detail::expect_ok(instantnet_model_input(get(), &input.height, &input.width, &input.channels));
    return input;
  }
  std::size_t classes() const {
    std::size_t count = 0;
    detail::expect_ok(instantnet_model_classes(get(), &count));
    return count;
  }
  std::string class_name(std::size_t index) const {
    const char* name = nullptr;
    detail::expect_ok(instantnet_model_class_name(get(), index, &name));
    return name;
  }
  /// Ascending.
  std::vector<int> bits() const {
    const int* bits = nullptr;
    std::size_t count = 0;
    detail::expect_ok(instantnet_model_bits(get(), &bits, &count));
    return {bits, bits + count};
  }
  std::vector<std::string> layers() const {
    std::size_t count = 0;
    detail::expect_ok(instantnet_model_layers(get(), &count));
    std::vector<std::string> names(count);
    for (std::size_t i = 0; i < count; ++i) {
      const char* name = nullptr;
      detail::expect_ok(instantnet_model_layer_name(get(), i, &name));
      names[i] = name;
    }
    return names;
  }
  const instantnet_model* get() const { return model_.get(); }

 private:
  std::shared_ptr<instantnet_model> model_;
};

/// Runs one image at a time.
class NetworkSession {
 public:
  explicit NetworkSession(const SwitchableNetwork& network, int threads = 1) {
    instantnet_session* session = nullptr;
    detail::expect_ok(instantnet_session_create(network.get(), threads, &session));
    session_.reset(session);
  }

  void set_bits(int bits) { detail::expect_ok(instantnet_session_set_bits(session_.get(), bits)); }
  /// (weight bits, activation bits) of each layer.
  void set_precisions(const std::vector<std::pair<int, int>>& layers) {
    std::vector<int> weights, activations;
    for (const auto& [weight, activation] : layers) {
      weights.push_back(weight);
      activations.push_back(activation);
    }
    detail::expect_ok(instantnet_session_set_precisions(session_.get(), weights.data(),
                                                        activations.data(), layers.size()));
  }

  /// Returns the predicted class.
  std::size_t run(const unsigned char* pixels, std::size_t count) {
    detail::expect_ok(instantnet_session_run(session_.get(), pixels, count));
    return predicted();
  }
  std::size_t run(const float* pixels, std::size_t count) {
    detail::expect_ok(instantnet_session_run_float(session_.get(), pixels, count));
    return predicted();
  }
  std::size_t predicted() const {
    std::size_t index = 0;
    detail::expect_ok(instantnet_session_predicted(session_.get(), &index));
    return index;
  }
  std::vector<float> logits() const {
    const float* values = nullptr;
    std::size_t count = 0;
    detail::expect_ok(instantnet_session_logits(session_.get(), &values, &count));
    return {values, values + count};
  }

 private:
  struct Free {
    void operator()(instantnet_session* session) const { instantnet_session_free(session); }
  };
  std::unique_ptr<instantnet_session, Free> session_;
};

/// Chooses the bit-width of each inference by a budget that changes (instantnet_policy_*).
class BudgetPolicy {
 public:
  /// A bit-width, what an inference costs in the unit of the budgets, and its accuracy.
  struct Width {
    int bits = 0;
    double cost = 0, accuracy = 0;
  };
  struct Choice {
    int bits = 0;      // 0: skip the inference
    bool fits = true;  // within the budget
  };

  explicit BudgetPolicy(const std::vector<Width>& widths, long hold = 1, double margin = 0,
                        bool skip = false) {
    std::vector<int> bits;
    std::vector<double> costs, accuracies;
    for (const Width& one : widths) {
      bits.push_back(one.bits);
      costs.push_back(one.cost);
      accuracies.push_back(one.accuracy);
    }
    instantnet_policy* policy = nullptr;
    detail::expect_ok(instantnet_policy_create(bits.data(), costs.data(), accuracies.data(),
                                               widths.size(), hold, margin, skip ? 1 : 0, &policy));
    policy_.reset(policy);
  }

  Choice next(double budget) {
    Choice choice;
    int fits = 0;
    detail::expect_ok(instantnet_policy_next(policy_.get(), budget, &choice.bits, &fits));
    choice.fits = fits != 0;
    return choice;
  }

 private:
  struct Free {
    void operator()(instantnet_policy* policy) const { instantnet_policy_free(policy); }
  };
  std::unique_ptr<instantnet_policy, Free> policy_;
};

}  // namespace instantnet

#endif  // INSTANTNET_HPP
