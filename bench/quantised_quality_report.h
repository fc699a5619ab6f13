// What quantised_quality measured, and how it is shown.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "switchyard/dtype.h"

#include "cli/divergence.h"
#include "cli/token_statistics.h"
#include "formats/gguf/column_importance.h"

namespace switchyard::quantised_quality {

using cli::Divergence;
using cli::Estimate;

// A file of the model in one type.
struct Measured {
  std::uint64_t file_bytes = 0;
  double bits_per_weight = 0;
  Estimate perplexity;
  Divergence divergence;
};

struct TypeResult {
  DType type{};
  Measured plain;
  Measured weighted;

  // Mean divergence with importance minus without, over the same tokens.
  Estimate effect() const;
  // "helps", "hurts" or, where the 95 % interval of the effect holds 0, "no difference".
  std::string verdict() const;
};

struct ModelResult {
  std::string name;
  std::uint64_t parameters = 0;
  std::string stored_type;
  std::size_t calibration_tokens = 0;
  std::size_t tokens = 0;
  Estimate perplexity;  // as stored
  ImportanceCoverage coverage;
  std::vector<TypeResult> types;
  std::string picture;              // file name of the plot
  std::vector<DType> without_rows;  // types that no matrix of the model can have
};

std::string to_json(const std::vector<ModelResult>& results, const std::string& command);
// `embeddings`: the type of embeddings and output where it is not that of the row.
std::string to_markdown(const std::vector<ModelResult>& results, const std::string& command,
                        const std::string& embeddings);
// Divergence against size, SVG.
std::string kl_plot(const ModelResult& result);

}  // namespace switchyard::quantised_quality
