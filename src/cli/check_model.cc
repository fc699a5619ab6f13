#include "cli/check_model.h"

#include <fmt/format.h>

#include "switchyard/model_files.h"
#include "switchyard/thread_pool.h"

#include "base/byte_size.h"
#include "formats/finite_check.h"
#include "formats/weight_check.h"

namespace switchyard::cli {

void check_model(Console& console, const std::string& model, int threads) {
  const ModelConfig config = read_model_config(console.files, model);
  const WeightFiles weights = open_weights(console.files, model, config);
  check_weights(config, weights);
  ThreadPool pool(threads);
  std::uint64_t bytes = 0;
  for (const auto& [name, tensor] : weights.tensors()) {
    check_finite(weights, tensor, &pool);
    bytes += tensor.bytes;
  }
  console.out << fmt::format("{} weights, {}: all are there, all finite\n",
                             weights.tensors().size(), format_bytes(bytes));
}

}  // namespace switchyard::cli
