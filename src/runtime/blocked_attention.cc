#include "runtime/blocked_attention.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <vector>

#include "runtime/run.h"

namespace switchyard::runtime {
namespace {

constexpr std::size_t kFirstSegment = 256;
constexpr std::size_t kUnitRows = AttentionMemory::kUnitRows;
// So many units a thread, so that uneven ones even out.
constexpr std::size_t kUnitsPerThread = 4;

std::size_t heads_of_cache(const ModelConfig& c) {
  return static_cast<std::size_t>(c.mla ? c.heads : c.heads / c.kv_heads);
}

// Rows that look at one head's cache together: some query heads of some tokens of one session that
// follow each other.
struct Unit {
  std::size_t token = 0;  // the first, of the run
  std::size_t tokens = 0;
  int kv_head = 0;
  std::size_t head = 0;  // the first, of all query heads
  std::size_t heads = 0;
  std::size_t first = 0;  // positions that any row sees
  std::size_t end = 0;
  std::size_t first_part = 0;  // its rows' states of its first segment, where units are split

  std::size_t rows() const { return tokens * heads; }
};

// Where what is computed of a unit from `begin` on ends; the first piece may start within a
// segment.
std::size_t next_segment(const Unit& unit, std::size_t begin) {
  return std::min(unit.end, segment_end(begin));
}
std::size_t first_block(const Unit& unit) {
  return unit.first / kernels::kAttentionBlock * kernels::kAttentionBlock;
}
std::size_t segments(const Unit& unit) {
  std::size_t count = 0;
  for (std::size_t at = first_block(unit); at < unit.end; at = next_segment(unit, at)) ++count;
  return count;
}

class Attention {
 public:
  using Query = std::function<HeadQuery(std::size_t, std::size_t)>;

  Attention(Run& run, int layer, const Query& query)
      : run_(run),
        m_(run.model),
        layer_(layer),
        query_(query),
        memory_(run.model.config),
        window_(static_cast<std::size_t>(m_.config.window(layer))) {}

  void attend() {
    const std::size_t work = list_units();
    const std::size_t threads = work < kSerialWork ? 1 : workers();
    if (threads > 1 && list_pieces(threads)) {
      on_workers(threads, pieces_.size(),
                 [&](std::size_t i, float* own) { attend_piece(pieces_[i], own); });
      on_workers(threads, units_.size(),
                 [&](std::size_t i, float* own) { merge_pieces(units_[i], own); });
    } else {
      on_workers(threads, units_.size(),
                 [&](std::size_t i, float* own) { attend_unit(units_[i], own); });
    }
  }

 private:
  struct Piece {
    std::size_t unit, begin, end, part;
  };
  using Rows = std::array<kernels::AttentionRow, kUnitRows>;

  std::size_t workers() const {
    return std::min(memory_.workers, static_cast<std::size_t>(run_.threads.threads()));
  }
  std::size_t position(std::size_t token) const {
    return static_cast<std::size_t>(run_.tokens[token].position);
  }
  std::size_t first_seen(std::size_t token) const {
    const std::size_t end = position(token) + 1;
    return window_ > 0 && end > window_ ? end - window_ : 0;
  }

  // Returns the multiply-adds there are.
  std::size_t list_units() {
    const std::size_t group = heads_of_cache(m_.config);
    const std::size_t caches = static_cast<std::size_t>(m_.config.heads) / group;
    const std::size_t heads = std::min(group, kUnitRows);
    const std::size_t wanted = run_.size() * caches / (kUnitsPerThread * workers());
    const std::size_t most = std::clamp<std::size_t>(wanted, 1, kUnitRows / heads);
    std::size_t seen = 0;
    for (std::size_t n = 0; n < run_.size();) {
      std::size_t tokens = 1;
      while (tokens < most && n + tokens < run_.size() && follows(n + tokens)) ++tokens;
      const std::size_t last = n + tokens - 1;
      for (std::size_t head = 0; head < caches * group; head += group) {
        for (std::size_t of_group = 0; of_group < group; of_group += heads) {
          units_.push_back({.token = n,
                            .tokens = tokens,
                            .kv_head = static_cast<int>(head / group),
                            .head = head + of_group,
                            .heads = std::min(heads, group - of_group),
                            .first = first_seen(n),
                            .end = position(last) + 1});
        }
      }
      for (std::size_t t = n; t <= last; ++t) seen += position(t) + 1 - first_seen(t);
      n += tokens;
    }
    const kernels::AttentionCache cache = cache_of(units_.front());
    return seen * caches * group * (cache.key_width + cache.value_width);
  }

  bool follows(std::size_t token) const {
    return run_.tokens[token].session == run_.tokens[token - 1].session &&
           position(token) == position(token - 1) + 1;
  }

  // The units by segments, if that gives the threads more to share and there is memory for it.
  bool list_pieces(std::size_t threads) {
    if (units_.size() >= kUnitsPerThread * threads) return false;
    std::size_t part = 0;
    for (std::size_t u = 0; u < units_.size(); ++u) {
      Unit& unit = units_[u];
      unit.first_part = part;
      for (std::size_t at = first_block(unit); at < unit.end; at = next_segment(unit, at)) {
        pieces_.push_back({u, at, next_segment(unit, at), part});
        part += unit.rows();
      }
    }
    return pieces_.size() > units_.size() && part <= memory_.part_rows;
  }

  // body(i, memory) for i in [0, count); every worker has memory of its own.
  template <class Body>
  void on_workers(std::size_t threads, std::size_t count, const Body& body) {
    std::atomic<std::size_t> next{0};
    run_.threads.parallel_for(threads, 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t w = begin; w < end; ++w) {
        float* const own = run_.scratch.attention.data() + w * memory_.worker_floats;
        for (std::size_t i = next++; i < count; i = next++) body(i, own);
      }
    });
  }

  kernels::AttentionCache cache_of(const Unit& unit) const {
    return run_.tokens[unit.token].session->cache.head(layer_, unit.kv_head);
  }
  HeadQuery query_of(const Unit& unit, std::size_t r) const {
    return query_(unit.token + r / unit.heads, unit.head + r % unit.heads);
  }
  std::size_t value_width() const { return cache_of(units_.front()).value_width; }

  // A worker's memory: for the kernel, queries, two states a row.
  float* queries(float* own) const { return own + memory_.block_floats; }
  float* states(float* own) const { return queries(own) + memory_.query_floats; }

  // Rows of a unit with their states from `state` on.
  void list_rows(const Unit& unit, float* own, float* state, Rows& rows) const {
    float* copy = queries(own);
    for (std::size_t r = 0; r < unit.rows(); ++r) {
      const HeadQuery q = query_of(unit, r);
      rows[r] = {.query = q.first.data(),
                 .first = first_seen(unit.token + r / unit.heads),
                 .end = position(unit.token + r / unit.heads) + 1,
                 .state = state + r * memory_.state_floats};
      if (q.second.empty()) continue;
      rows[r].query = copy;
      copy = std::copy(q.first.begin(), q.first.end(), copy);
      copy = std::copy(q.second.begin(), q.second.end(), copy);
    }
  }

  void attend_part(const Unit& unit, const Rows& rows, std::size_t begin, std::size_t end,
                   float* own) const {
    const kernels::AttentionCache cache = cache_of(unit);
    for (std::size_t r = 0; r < unit.rows(); ++r) {
      kernels::attention_clear(rows[r].state, cache.value_width);
    }
    m_.kernels->attend(cache, rows.data(), unit.rows(), begin, end, m_.config.attention_scale(),
                       own);
  }

  void attend_unit(const Unit& unit, float* own) const {
    Rows rows;
    float* const parts = states(own);
    float* const totals = parts + kUnitRows * memory_.state_floats;
    list_rows(unit, own, parts, rows);
    clear(unit, totals);
    for (std::size_t at = first_block(unit); at < unit.end; at = next_segment(unit, at)) {
      attend_part(unit, rows, at, next_segment(unit, at), own);
      merge(unit, parts, totals);
    }
    finish(unit, totals);
  }

  void attend_piece(const Piece& piece, float* own) const {
    const Unit& unit = units_[piece.unit];
    Rows rows;
    list_rows(unit, own, part_state(piece.part), rows);
    attend_part(unit, rows, piece.begin, piece.end, own);
  }

  void merge_pieces(const Unit& unit, float* own) const {
    float* const totals = states(own);
    clear(unit, totals);
    const std::size_t count = segments(unit);
    for (std::size_t s = 0; s < count; ++s) {
      merge(unit, part_state(unit.first_part + s * unit.rows()), totals);
    }
    finish(unit, totals);
  }

  float* part_state(std::size_t part) const {
    return run_.scratch.attention_parts.data() + part * memory_.state_floats;
  }
  void clear(const Unit& unit, float* states) const {
    for (std::size_t r = 0; r < unit.rows(); ++r) {
      kernels::attention_clear(states + r * memory_.state_floats, value_width());
    }
  }
  void merge(const Unit& unit, const float* parts, float* totals) const {
    for (std::size_t r = 0; r < unit.rows(); ++r) {
      const std::size_t at = r * memory_.state_floats;
      m_.kernels->merge_attention(parts + at, totals + at, value_width());
    }
  }
  void finish(const Unit& unit, const float* totals) const {
    const auto sinks = m_.weights.layers[static_cast<std::size_t>(layer_)].sinks;
    for (std::size_t r = 0; r < unit.rows(); ++r) {
      const float* sink = sinks.empty() ? nullptr : &sinks[unit.head + r % unit.heads];
      m_.kernels->finish_attention(totals + r * memory_.state_floats, sink, value_width(),
                                   query_of(unit, r).out);
    }
  }

  Run& run_;
  const Model::Impl& m_;
  const int layer_;
  const Query& query_;
  const AttentionMemory memory_;
  const std::size_t window_;
  std::vector<Unit> units_;
  std::vector<Piece> pieces_;
};

}  // namespace

std::size_t segment_end(std::size_t position) {
  std::size_t length = kFirstSegment;
  while (position >= 16 * length) length *= 2;
  return (position / length + 1) * length;
}

std::size_t segments_until(std::size_t positions) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < positions; at = segment_end(at)) ++count;
  return count;
}

AttentionMemory::AttentionMemory(const ModelConfig& c) {
  const auto key_width = static_cast<std::size_t>(c.mla ? c.mla->cached_width() : c.head_dim);
  const auto value_width = static_cast<std::size_t>(c.mla ? c.mla->kv_rank : c.head_dim);
  const auto aligned = [](std::size_t floats) { return (floats + 15) / 16 * 16; };
  workers = static_cast<std::size_t>(available_cores());
  state_floats = kernels::attention_state_floats(value_width);
  block_floats = aligned(kernels::attention_memory_floats(key_width, value_width));
  query_floats = c.mla ? aligned(kUnitRows * key_width) : 0;
  worker_floats = block_floats + query_floats + 2 * kUnitRows * state_floats;
  // Units are split while there are fewer than kUnitsPerThread of them a thread; decoding, each has
  // the heads of one cache.
  part_rows = kUnitsPerThread * workers * std::min(heads_of_cache(c), kUnitRows) *
              segments_until(static_cast<std::size_t>(c.context));
}

void attend_to_caches(Run& run, int layer,
                      const std::function<HeadQuery(std::size_t, std::size_t)>& query) {
  Attention(run, layer, query).attend();
}

}  // namespace switchyard::runtime
