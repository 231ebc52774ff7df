#include "instantnet/train/meters.h"

#include <torch/torch.h>

#include <algorithm>
#include <bit>

#include "instantnet/core/error.h"

namespace instantnet::train {

Meters::Meters(std::vector<int> bits) : bits_(std::move(bits)), sums_(bits_.size()) {}

void Meters::add(const WidthRecord& record) {
  const auto found = std::find(bits_.begin(), bits_.end(), record.bits);
  if (found == bits_.end()) bug("a meter for a bit-width it was not made for");
  Sum& sum = sums_[static_cast<size_t>(found - bits_.begin())];
  sum.ce += record.ce * static_cast<double>(record.images);
  sum.distill += record.distill * static_cast<double>(record.images);
  sum.images += record.images;
}

void Meters::clear() { sums_.assign(bits_.size(), {}); }

double Meters::ce(size_t width) const {
  return sums_[width].ce / static_cast<double>(std::max<int64_t>(1, sums_[width].images));
}

double Meters::distill(size_t width) const {
  return sums_[width].distill / static_cast<double>(std::max<int64_t>(1, sums_[width].images));
}

double Meters::mean_ce() const {
  double sum = 0, count = 0;
  for (size_t i = 0; i < bits_.size(); ++i) {
    if (!seen(i)) continue;
    sum += ce(i);
    ++count;
  }
  return count == 0 ? 0.0 : sum / count;
}

at::Tensor Meters::state() const {
  at::Tensor values = at::zeros({static_cast<int64_t>(sums_.size()), 3}, at::kLong);
  int64_t* to = values.data_ptr<int64_t>();
  for (const Sum& sum : sums_) {
    *to++ = std::bit_cast<int64_t>(sum.ce);
    *to++ = std::bit_cast<int64_t>(sum.distill);
    *to++ = sum.images;
  }
  return values;
}

void Meters::load(const at::Tensor& state, const std::string& where) {
  const auto rows = static_cast<int64_t>(sums_.size());
  if (state.dim() != 2 || state.size(0) != rows || state.size(1) != 3 ||
      state.scalar_type() != at::kLong)
    fail(where,
         "the averages of the epoch have another shape than the run's; it belongs to another run.");
  const at::Tensor values = state.contiguous();
  const int64_t* from = values.data_ptr<int64_t>();
  for (Sum& sum : sums_) {
    sum.ce = std::bit_cast<double>(*from++);
    sum.distill = std::bit_cast<double>(*from++);
    sum.images = *from++;
  }
}

}  // namespace instantnet::train
