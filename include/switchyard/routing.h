// Routing: which experts work on which item, and with which weight. Pure functions over router
// logits; no tensors, no threads, no model. The runtime calls them as they are; training has a
// differentiable twin of each (src/models/routers), held to the same answers by parity tests.
//
//   auto config = routing::config_from_json(json, "recipe.toml");
//   routing::State state{.seed = 7};
//   auto decision = routing::route(config, {.logits = logits, .items = n}, state);
//
// The caller makes the router logits (x W_r^T, or a recurrent router's step, which keeps its state
// in State::recurrent); this library turns them into a Decision. So a method that differs only in
// how logits are made needs nothing new here.
//
// Dimension letters: N items, E experts, R router outputs (E, more with null experts), K experts
// per token, G groups.
// Numbers: fp32 in and out; ties go to the lower expert index; sums run in a fixed order.
// Errors: a Config that does not hold together and non-finite logits throw Error; they are never
// guessed around.
// Thread rule: everything here is a value or a pure function.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace switchyard::routing {

// ---- Configuration ------------------------------------------------------------------------------

enum class Kind {
  // each item takes its K best experts (Shazeer 2017; Switch with K = 1; Mixtral, OLMoE, DeepSeek,
  // Qwen); with null experts AdaMoE (Zeng 2024), with a frozen router SMoE-Dropout (Chen 2023)
  top_k,
  // experts are taken, best first, until their probabilities sum to a threshold (Huang 2024)
  top_p,
  // every expert whose sigmoid score reaches a threshold: no competition between experts
  sigmoid_threshold,
  // top-k over the state of a cell that runs through the layers (RMoE, Qiu 2024)
  recurrent,
  expert_choice,  // each expert takes its best items (Zhou 2022). Not causal: training, encoders
  hash,           // expert = fixed random function of the token id (Hash Layers, Roller 2021)
  random,         // random experts: a baseline, and the first stage of Duo-LLM
};

// What turns logits into scores.
enum class Score {
  softmax,  // over all E experts (or over the chosen ones, see Config::softmax_after_selection)
  sigmoid,  // each expert for itself (DeepSeek-V3)
};

// What happens to an assignment that arrives at a full expert.
enum class Overflow {
  drop,         // the assignment is lost; the item keeps its other experts (Switch)
  next_expert,  // the item's next best expert with room takes it
};

// What stands in front of an expert's output, and so what gradient the router gets through it.
enum class Gate {
  probability,       // weight g, gradient through g
  straight_through,  // weight 1, gradient as if it were g
  mass,              // every chosen expert weighs the sum of the chosen g; gradient through the sum
  uniform,           // weight 1 / number of chosen experts, no gradient
  none,              // weight 1, no gradient
};

// Over which chosen outputs gate weights are normalised when some belong to null experts (Zeng
// 2024, section 3.2).
enum class NullWeights {
  true_only,     // the experts' weights sum to 1; null logits get no gradient from the model's loss
  all_selected,  // all K weights sum to 1; those of null experts are lost
};

// What carries a recurrent router's state from layer to layer (Qiu 2024, section 3).
enum class Cell { gru, rnn };

// Whether the state of the layer before reaches this one: with its gradient, without, or not at all
// (each layer then starts from zero: the paper's ablation "NP").
enum class StatePassing { full, detach, none };

// How a group of experts is scored when selection is limited to groups (DeepSeek-V2: max,
// DeepSeek-V3: top2_sum).
enum class GroupScore { max, top2_sum };

// Auxiliary losses; a coefficient of 0 turns a term off. Definitions and values at perfect balance:
// losses.h.
struct LossConfig {
  enum class Balance {
    switch_transformer,  // E * sum_e f_e P_e, f_e counts every chosen expert
    gshard,              // the same with f_e counting each item's first choice only
  };
  // What f_e is divided by. A coefficient means nothing without it: the balanced value is 1 or K.
  enum class Fraction {
    per_assignment,  // f sums to 1; balanced value 1
    per_item,  // f sums to the mean number of experts per item; balanced value K (Hugging Face,
               // top-p)
  };
  // How choices of null experts enter f_e (Zeng 2024, equation 6).
  enum class NullBalance {
    averaged,    // every null expert counts as their mean: only the total matters
    individual,  // each counts for itself
  };
  // Over what the shares of the budget loss are averaged before they are squared.
  enum class BudgetScope { token, sequence, batch };

  Balance balance = Balance::switch_transformer;
  Fraction fraction = Fraction::per_assignment;
  float balance_coefficient = 0.0F;
  float z_coefficient = 0.0F;
  float importance_coefficient = 0.0F;
  float entropy_coefficient = 0.0F;  // mean entropy of the router's probabilities (Huang 2024)
  NullBalance null_balance = NullBalance::averaged;
  // sum_r (mean probability of output r over layers and items - budget[r])^2 (Duo-LLM, section 2.4)
  float budget_coefficient = 0.0F;
  std::vector<float> budget{};  // at most [R]: targets of the first outputs, each 0..1
  BudgetScope budget_scope = BudgetScope::sequence;

  bool operator==(const LossConfig&) const = default;
};

// One struct for every method: kind + knobs. The same JSON stands in a recipe, in config.json and
// in GGUF metadata. A knob that the kind does not use must keep its default (validate() says so
// otherwise).
struct Config {
  Kind kind = Kind::top_k;
  int experts = 8;            // E >= 1
  int experts_per_token = 2;  // K, 1..E + null_experts; for top_p the most an item may take
  Score score = Score::softmax;
  bool softmax_after_selection = false;  // softmax over the K chosen logits instead of over all E
  bool renormalize = true;               // divide the K gate weights by their sum
  Gate gate = Gate::probability;
  float scaling_factor = 1.0F;  // multiplies the gate weights last
  bool selection_bias = false;  // a per-expert bias added for selection only, never to the weights
  int groups = 1;               // G, divides E
  int groups_per_token = 1;     // groups an item may choose from, 1..G
  GroupScore group_score = GroupScore::top2_sum;
  // 0: dropless. Else an expert takes at most ceil(factor * N * K / E) assignments
  float capacity_factor = 0.0F;
  Overflow overflow = Overflow::drop;
  std::uint64_t seed = 0;  // hash and random
  // random with K = 1: shares of the experts, [E] or, with a last one for doing nothing, [E + 1];
  // they sum to 1. Empty: all experts alike
  std::vector<float> probabilities{};
  // The router's weights are saved but never trained; gradient still reaches its input
  bool frozen = false;
  float threshold = 0.4F;  // top_p: p; sigmoid_threshold: of a score
  // top_p stops at a sum >= p; false: > p, as its released model. sigmoid_threshold alike
  bool threshold_inclusive = true;
  int min_experts_per_token = 1;  // top_p; sigmoid_threshold, where it may be 0
  int null_experts = 0;           // m outputs after the experts' own that stand for doing nothing
  NullWeights null_weights = NullWeights::true_only;
  int router_hidden = 0;  // width of the recurrent state; of top_k's hidden layer, 0: linear router
  Cell cell = Cell::gru;  // recurrent
  StatePassing state_passing = StatePassing::full;  // recurrent
  float inverse_temperature = 1.0F;                 // multiplies the logits
  // While training every output is taken and weighs its probability (Duo-LLM's third stage);
  // evaluation and the runtime choose as the other knobs say
  bool soft_training = false;
  LossConfig losses{};

  bool operator==(const Config&) const = default;
};

// What config_from_json() starts from. Differs from Config{} in a few kinds: the weights of top_p
// and sigmoid_threshold are not renormalised and their f_e counts per item; recurrent has a state
// of 128.
Config default_config(Kind kind);

// Throws Error naming the knob, its value and what it may be.
void validate(const Config& config);

// R: rows of the router's weight and columns of its logits; 0 for a kind without router logits.
// Size the router by this, not by `experts`: null experts have a logit and no weights. Outputs at E
// and above never appear in a Decision.
int router_width(const Config& config);

// The most experts one item can get: what memory must have room for. K, or less for top_p, where
// the first t of E sorted probabilities sum to at least t / E: min(K, ceil(p E)).
int most_experts_per_item(const Config& config);

// What soft_training makes of a config while training: all R outputs, weighted by probability.
Config soft_config(const Config& config);

// Whether item n's decision stays the same when items after it change or are taken away, so that
// prefill, decode and any batch mix agree. A capacity breaks it for every kind: the room depends on
// N.
bool is_causal(const Config& config);

// Whether the loss of the model reaches the router through its gate weights. False for hash and
// random, Gate::none, and K = 1 with weights that always come out as 1.
bool gate_has_gradient(const Config& config);

// Strict both ways: an unknown knob is an Error that names it and lists the known ones. `where`
// names the file or recipe for the message. The result is validated.
Config config_from_json(const nlohmann::json& json, const std::string& where);
// Knobs at their default are left out; `kind`, `experts` and `experts_per_token` are always there.
nlohmann::json to_json(const Config& config);

// ---- Input and state ----------------------------------------------------------------------------

// What a method may look at. Spans are borrowed for the call. An input that the method needs and
// does not get, or of the wrong size, is a bug of the caller (InternalError); one it does not need
// is ignored.
struct Inputs {
  std::span<const float> logits{};            // [N, R]; empty for hash and random
  std::span<const float> selection_bias{};    // [R]; empty unless Config::selection_bias
  std::span<const std::int32_t> token_ids{};  // [N]; hash only
  // [N]: what each item is called in random streams, e.g. its position, so that prefill and decode
  // draw the same; empty: 0 to N - 1. Random only.
  std::span<const std::uint64_t> item_ids{};
  std::size_t items = 0;  // N
  // K for this call instead of Config's, in the same range; 0: Config's. Schedules and budgets set
  // it here
  int experts_per_token = 0;
};

// What a method carries between layers or steps. A value: copy it to branch, reset it to start
// again.
struct State {
  std::uint64_t seed = 0;  // random streams are keyed by (seed, step, pass, layer)
  std::uint64_t step = 0;
  std::uint32_t pass = 0;
  std::uint32_t layer = 0;
  std::vector<float> recurrent{};  // [N, width], for methods whose router state crosses layers
};

// ---- Decision -----------------------------------------------------------------------------------

inline constexpr std::int32_t kNoExpert = -1;

// For N items: which experts, with which gate weight. CSR over items: the assignments of item n are
// [offsets[n], offsets[n + 1]), best first, each expert at most once. Items may have different
// numbers of assignments, or none (skipped, or all dropped): the item's output is then exactly
// zero. Null experts are counted, never listed.
struct Decision {
  int experts = 0;                       // E
  std::vector<std::uint32_t> offsets{};  // [N + 1]
  std::vector<std::int32_t> expert{};    // [assignments]
  std::vector<float> weight{};           // [assignments]
  std::vector<std::uint32_t> counts{};   // [E] assignments per expert (expert load)
  std::uint32_t dropped = 0;             // assignments lost to capacity
  std::uint32_t null_count = 0;          // assignments to null experts or skips: no FLOPs, no bytes

  std::size_t items() const { return offsets.empty() ? 0 : offsets.size() - 1; }
  std::size_t assignments() const { return expert.size(); }
  bool operator==(const Decision&) const = default;
};

// Routes N items. Deterministic: same config, inputs and state, same bits. Throws Error for a
// non-finite logit or bias, naming item and expert.
Decision route(const Config& config, const Inputs& inputs, State& state);
// The same into a Decision whose memory is used again: the decode path allocates nothing once it is
// warm.
void route_into(const Config& config, const Inputs& inputs, State& state, Decision& decision);

// ---- The visible table --------------------------------------------------------------------------

struct Method {
  Kind kind;
  std::string_view name;   // in JSON and on the command line
  std::string_view paper;  // author, year
  std::string_view what;   // one line for --help
  bool causal;             // without a capacity; is_causal() looks at the whole Config
  bool needs_logits;       // false: the kind has no router weights
  bool needs_token_ids;
  bool k_is_limit;  // experts_per_token is only an upper bound, and all E where it is left out
  std::span<const std::string_view>
      knobs;  // JSON names this kind reads, besides kind, experts, experts_per_token
  void (*route)(const Config&, const Inputs&, State&, Decision&);
};

std::span<const Method> methods();
const Method& method(Kind kind);
std::optional<Kind> kind_from_name(std::string_view name);

}  // namespace switchyard::routing
