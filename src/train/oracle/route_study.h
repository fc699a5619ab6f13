// Everything that is measured about the routes of one model with a big and a small expert: curves
// over the budget (big layers of a token), who uses the big expert where, and how hard tokens are.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include <torch/types.h>

#include "switchyard/file_system.h"

#include "models/decoder.h"

namespace switchyard::train::oracle {

struct StudyOptions {
  std::int64_t batch = 16;
  std::int64_t sequential_windows = 8;  // sequences of the sequential oracle, which is slow
  std::int64_t sequential_tokens = 0;   // of each; 0: all
  int random_routes = 100;              // draws of the best of random routes
  std::size_t equal_routes = 6;         // size of the sets that make budgets comparable
  double dropout = 0.1;                 // of null routes, before their spread is matched
  std::uint64_t seed = 1;
  std::stop_token stop = {};
};

// Names of curves, in the order in which they are shown. Nats per token.
inline constexpr const char* kOracle = "oracle, uniform prefix (O1)";
inline constexpr const char* kSequential = "oracle, sequential (O2)";
inline constexpr const char* kSequentialFixed = "fixed, on the sequences of O2";
inline constexpr const char* kCodeLength = "code length (NML)";
inline constexpr const char* kSampledLabel = "oracle for sampled labels";
inline constexpr const char* kFixed = "best fixed route";
inline constexpr const char* kMeanRoute = "mean route";
inline constexpr const char* kRandomSet = "best random route for the set";
inline constexpr const char* kRandomToken = "best random route for a token";
inline constexpr const char* kEqualRoutes = "oracle over equally many routes";
inline constexpr const char* kNull = "null routes";
// Skips instead of the small expert; no skip was ever trained.
inline constexpr const char* kSkipOracle = "oracle over big and skip";
inline constexpr const char* kSkipFixed = "best fixed route of big and skip";
inline constexpr const char* kSpread = "deviation across routes";

// A token and what routes do to the prediction of the one after it.
struct TokenDifficulty {
  std::int64_t token = 0;                 // the predicted one
  double small = 0, big = 0, oracle = 0;  // losses: all small, all big, best of all routes; nats
  std::string route;                      // the best one
};

struct RouteStudy {
  int layers = 0;
  std::map<std::string, std::vector<double>> curves;  // [L + 1], by budget
  std::vector<std::vector<double>> big_share;  // [L + 1][L]: how often O1 uses the big expert there
  double all_big = 0, all_small = 0;           // nats per token
  double best_of_all = 0;                      // O1 without a budget
  // O1 whose budget falls or rises along the sequence, around the same mean: L / 2 in the middle, 2
  // more or less (1 where L is small) at the ends; and constantly L / 2.
  double falling_budget = 0, rising_budget = 0, constant_budget = 0;
  double delta_rank_correlation = 0;    // Spearman of small - oracle and small
  std::vector<TokenDifficulty> tokens;  // [N]
};

// `directory` holds the model as the runtime reads it. windows [S, T + 1] int64. Throws Cancelled.
RouteStudy study_routes(FileSystem& fs, const std::string& directory, models::Decoder& model,
                        const torch::Tensor& windows, const StudyOptions& options);

// One JSON object a line: {"token", "loss_small", "loss_big", "loss_oracle", "delta", "delta_big",
// "route"}.
std::string to_json_lines(const std::vector<TokenDifficulty>& tokens);

}  // namespace switchyard::train::oracle
