#include "instantnet/nn/fused_convolution.h"

#include <dnnl.hpp>
#include <memory>
#include <string_view>
#include <vector>

#include "instantnet/nn/fused_depthwise.h"

namespace instantnet::nn {

namespace {

using dnnl::memory;
using Dims = memory::dims;
constexpr auto kFloat = memory::data_type::f32;

const dnnl::engine& cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

/// CPU streams hold no state; one per thread avoids sharing.
dnnl::stream& stream() {
  thread_local dnnl::stream own(cpu());
  return own;
}

memory at(const memory::desc& layout, const float* data) {
  return {layout, cpu(), const_cast<float*>(data)};
}

/// Working memory of the calling thread for one execution.
memory scratchpad(const memory::desc& layout) {
  thread_local std::vector<char> room;
  const size_t bytes = layout.get_size();
  if (room.size() < bytes + 64) room.resize(bytes + 64);
  void* start = room.data();
  size_t space = room.size();
  return {layout, cpu(), std::align(64, bytes, start, space)};
}

memory::desc weight_layout(const ConvolutionShape& s) {
  const int64_t out = s.out_channels / s.groups, in = s.in_channels / s.groups, k = s.kernel;
  if (s.groups == 1) return {Dims{out, in, k, k}, kFloat, Dims{in * k * k, 1, in * k, in}};
  return {Dims{s.groups, out, in, k, k}, kFloat, Dims{out * in * k * k, in * k * k, 1, in * k, in}};
}

int64_t floats(const memory::desc& layout) {
  return static_cast<int64_t>(layout.get_size() / sizeof(float));
}

void reorder(const memory::desc& from, const float* in, const memory::desc& to, float* out) {
  memory source = at(from, in), target = at(to, out);
  dnnl::reorder(source, target).execute(stream(), source, target);
  stream().wait();
}

}  // namespace

struct FusedConvolution::Impl {
  ConvolutionShape shape;
  bool own_gradient = false;  // by depthwise_weight_gradient
  memory::desc in, out, plain_weight;
  dnnl::convolution_forward::primitive_desc forward_desc;
  dnnl::convolution_backward_data::primitive_desc data_desc;
  dnnl::convolution_backward_weights::primitive_desc weight_desc;
  dnnl::convolution_forward forward;
  dnnl::convolution_backward_data data;
  dnnl::convolution_backward_weights weight;

  explicit Impl(const ConvolutionShape& s)
      : shape(s),
        in(Dims{s.images, s.in_channels, s.in_height, s.in_width}, kFloat,
           memory::format_tag::nhwc),
        out(Dims{s.images, s.out_channels, s.out_height, s.out_width}, kFloat,
            memory::format_tag::nhwc),
        plain_weight(weight_layout(s)) {
    const memory::desc any(plain_weight.dims(), kFloat, memory::format_tag::any);
    const Dims strides{s.stride, s.stride}, dilation{s.dilation - 1, s.dilation - 1},
        padding{s.padding, s.padding};
    constexpr auto direct = dnnl::algorithm::convolution_direct;
    // The library's own working memory belongs to the thread that made the primitive; ours to the
    // one that runs it.
    dnnl::primitive_attr own_memory;
    own_memory.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    forward_desc = {{dnnl::prop_kind::forward_training, direct, in, any, out, strides, dilation,
                     padding, padding},
                    own_memory,
                    cpu()};
    data_desc = {{direct, in, any, out, strides, dilation, padding, padding},
                 own_memory,
                 cpu(),
                 forward_desc};
    weight_desc = {{direct, in, any, out, strides, dilation, padding, padding},
                   own_memory,
                   cpu(),
                   forward_desc};
    forward = dnnl::convolution_forward(forward_desc);
    data = dnnl::convolution_backward_data(data_desc);
    weight = dnnl::convolution_backward_weights(weight_desc);
    const std::string_view chosen = weight_desc.impl_info_str();
    own_gradient = has_depthwise_gradient(s) && chosen.find("dw") == std::string_view::npos;
  }
};

FusedConvolution::FusedConvolution(const ConvolutionShape& shape)
    : impl_(std::make_unique<Impl>(shape)) {}
FusedConvolution::~FusedConvolution() = default;

int64_t FusedConvolution::forward_weight_floats() const {
  return floats(impl_->forward_desc.weights_desc());
}
int64_t FusedConvolution::backward_weight_floats() const {
  return floats(impl_->data_desc.weights_desc());
}
int64_t FusedConvolution::gradient_floats() const {
  if (impl_->own_gradient)
    return impl_->shape.kernel * impl_->shape.kernel * impl_->shape.in_channels;
  return floats(impl_->weight_desc.diff_weights_desc());
}

void FusedConvolution::pack_forward(const float* weight, float* packed) const {
  reorder(impl_->plain_weight, weight, impl_->forward_desc.weights_desc(), packed);
}

void FusedConvolution::pack_backward(const float* weight, float* packed) const {
  reorder(impl_->plain_weight, weight, impl_->data_desc.weights_desc(), packed);
}

void FusedConvolution::unpack_gradient(const float* packed, float* gradient) const {
  if (impl_->own_gradient) {
    const int64_t channels = impl_->shape.in_channels,
                  taps = impl_->shape.kernel * impl_->shape.kernel;
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t t = 0; t < taps; ++t) gradient[c * taps + t] = packed[t * channels + c];
    return;
  }
  reorder(impl_->weight_desc.diff_weights_desc(), packed, impl_->plain_weight, gradient);
}

void FusedConvolution::forward(const float* in, const float* packed_weight, float* out) const {
  impl_->forward.execute(
      stream(), {{DNNL_ARG_SRC, at(impl_->in, in)},
                 {DNNL_ARG_WEIGHTS, at(impl_->forward_desc.weights_desc(), packed_weight)},
                 {DNNL_ARG_DST, at(impl_->out, out)},
                 {DNNL_ARG_SCRATCHPAD, scratchpad(impl_->forward_desc.scratchpad_desc())}});
  stream().wait();
}

void FusedConvolution::backward_data(const float* out_gradient, const float* packed_weight,
                                     float* in_gradient) const {
  impl_->data.execute(stream(),
                      {{DNNL_ARG_DIFF_DST, at(impl_->out, out_gradient)},
                       {DNNL_ARG_WEIGHTS, at(impl_->data_desc.weights_desc(), packed_weight)},
                       {DNNL_ARG_DIFF_SRC, at(impl_->in, in_gradient)},
                       {DNNL_ARG_SCRATCHPAD, scratchpad(impl_->data_desc.scratchpad_desc())}});
  stream().wait();
}

void FusedConvolution::backward_weight(const float* in, const float* out_gradient,
                                       float* packed_gradient) const {
  if (impl_->own_gradient)
    return depthwise_weight_gradient(impl_->shape, in, out_gradient, packed_gradient);
  impl_->weight.execute(
      stream(),
      {{DNNL_ARG_DIFF_DST, at(impl_->out, out_gradient)},
       {DNNL_ARG_SRC, at(impl_->in, in)},
       {DNNL_ARG_DIFF_WEIGHTS, at(impl_->weight_desc.diff_weights_desc(), packed_gradient)},
       {DNNL_ARG_SCRATCHPAD, scratchpad(impl_->weight_desc.scratchpad_desc())}});
  stream().wait();
}

}  // namespace instantnet::nn
