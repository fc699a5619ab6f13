// What measured importance says of each matrix of a model: a weight for every input column, for the
// rounding of that matrix (quant::encode_rows()).
//
// The weight is the mean square of what the column was multiplied with. A routed expert saw only
// the tokens that were routed to it, n of them, perhaps none. Its mean is therefore drawn towards a
// prior m as if that had been seen kPriorTokens times:
//
//   weight = (sum of squares + kPriorTokens m) / (n + kPriorTokens)
//
// For gate and up, whose columns are those of the residual stream and the same for all experts, m
// is the column's mean over all tokens of all experts of the layer. The columns of down are an
// expert's own hidden values, so m is one number: the mean over all columns, too. So an expert that
// was never visited has the layer's mean, which for down means all columns alike.
//
// Files that do not tell experts apart (imatrix.dat) are taken as they are; an expert whose values
// are all equal was not visited, as the program that writes them marks it so.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "switchyard/model_config.h"

#include "formats/gguf/importance_file.h"

namespace switchyard {

// How much of a model the text has reached.
struct ImportanceCoverage {
  std::vector<std::string> missing;  // ggml's names of matrices without a measurement, sorted
  std::size_t matrices = 0;          // with one; experts count one by one
  std::size_t experts = 0;           // routed ones of all layers
  std::size_t unvisited = 0;         // of these: no token
  std::size_t few = 0;               // of these: some, but fewer than kPriorTokens
};

// Thread rule: const after construction.
class ColumnImportance {
 public:
  static constexpr double kPriorTokens = 32;

  // Throws Error naming the file and the entry where it does not fit the model, and if it knows no
  // matrix of it. Entries of matrices the model does not have are ignored.
  ColumnImportance(ImportanceData data, const ModelConfig& config);
  ColumnImportance(ColumnImportance&&) = default;  // a copy would point into the original

  const ImportanceData& data() const { return data_; }
  const ImportanceCoverage& coverage() const { return coverage_; }

  // [in] weights of a matrix, finite and not negative; empty where nothing is known: all alike.
  // `weight` is Hugging Face's name.
  std::vector<float> of(const std::string& weight) const;

 private:
  // One matrix's part of an entry.
  struct Measured {
    std::span<const float> squares;
    double count = 0;     // tokens, 0: never visited
    bool counted = true;  // false: count is not tokens, as the file does not tell experts apart
    const std::vector<double>* prior = nullptr;  // [in], of experts only
  };
  // The experts of a layer that share a prior: (layer, projection).
  using Group = std::pair<int, std::string>;

  void check_shape(const std::string& entry, std::size_t values, std::size_t expected) const;
  void add_priors(const std::map<Group, std::vector<std::string>>& groups);
  void count_experts(const std::vector<std::string>& members);

  ImportanceData data_;
  ImportanceCoverage coverage_;
  std::map<std::string, Measured, std::less<>> matrices_;  // by Hugging Face's name
  std::map<Group, std::vector<double>> priors_;
};

}  // namespace switchyard
