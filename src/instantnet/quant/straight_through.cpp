#include "instantnet/quant/straight_through.h"

#include <torch/torch.h>

namespace instantnet::quant {

namespace {

struct Unmasked : public torch::autograd::Function<Unmasked> {
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor&,
                            const at::Tensor& values) {
    return values.view_as(values);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list gradients) {
    return {gradients[0], at::Tensor()};
  }
};

struct Masked : public torch::autograd::Function<Masked> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor&,
                            const at::Tensor& values, const at::Tensor& mask) {
    context->save_for_backward({mask});
    return values.view_as(values);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    return {gradients[0] * context->get_saved_variables()[0], at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor straight_through(const at::Tensor& x, const at::Tensor& values, const at::Tensor& mask) {
  return mask.defined() ? Masked::apply(x, values, mask) : Unmasked::apply(x, values);
}

}  // namespace instantnet::quant
