#include "switchyard/ledger.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "switchyard/error.h"

#include "base/byte_size.h"
#include "base/check.h"
#include "base/checked_math.h"

namespace switchyard {
namespace {

constexpr std::array<std::string_view, kPurposes> kNames = {
    "process", "dense weights", "KV cache", "scratch", "I/O buffers", "expert slots"};

std::string budget_text(std::uint64_t budget) {
  return budget == Ledger::kUnlimited ? "unlimited" : format_bytes(budget);
}

}  // namespace

std::string_view purpose_name(Purpose purpose) {
  return kNames.at(static_cast<std::size_t>(purpose));
}

std::uint64_t Ledger::left() const {
  if (budget_ == kUnlimited) return kUnlimited;
  return budget_ - std::min(budget_, total());
}

std::string Ledger::table() const {
  std::string text;
  for (std::size_t i = 0; i < kPurposes; ++i) {
    text += fmt::format("{:<14}{:>12}\n", kNames[i], format_bytes(held_[i].load()));
  }
  text += fmt::format("{:<14}{:>12}\n{:<14}{:>12}\n{:<14}{:>12}\n", "total", format_bytes(total()),
                      "peak", format_bytes(peak()), "budget", budget_text(budget_));
  return text;
}

Ledger::Booking Ledger::book(const std::shared_ptr<Ledger>& ledger, Purpose purpose,
                             std::uint64_t bytes) {
  SWITCHYARD_CHECK(ledger != nullptr);
  // The total is raised first and in one step, so two threads cannot both take the last bytes.
  std::uint64_t before = ledger->total_.load();
  std::uint64_t after = 0;
  do {
    const auto sum = checked_add(before, bytes);
    if (!sum || *sum > ledger->budget_) ledger->refuse(purpose, bytes);
    after = *sum;
  } while (!ledger->total_.compare_exchange_weak(before, after));
  ledger->held_[static_cast<std::size_t>(purpose)] += bytes;
  std::uint64_t peak = ledger->peak_.load();
  while (peak < after && !ledger->peak_.compare_exchange_weak(peak, after)) {
  }
  Booking booking;
  booking.ledger_ = ledger;
  booking.purpose_ = purpose;
  booking.bytes_ = bytes;
  return booking;
}

void Ledger::refuse(Purpose purpose, std::uint64_t bytes) const {
  std::string held;
  for (std::size_t i = 0; i < kPurposes; ++i) {
    const std::uint64_t amount = held_[i].load();
    if (amount > 0) held += fmt::format(", {} {}", kNames[i], format_bytes(amount));
  }
  throw Error(
      {.what = fmt::format("{} for {} do not fit into the memory budget", format_bytes(bytes),
                           purpose_name(purpose)),
       .where = fmt::format("budget {}, held {}{}", budget_text(budget_), format_bytes(total()),
                            held.empty() ? "" : ": " + held.substr(2)),
       .expected = fmt::format("at most {}", format_bytes(left())),
       .fix = "raise the budget (--mem-budget), or use a shorter context or fewer sessions"});
}

Ledger::Booking::Booking(Booking&& other) noexcept { *this = std::move(other); }

Ledger::Booking& Ledger::Booking::operator=(Booking&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  ledger_ = std::move(other.ledger_);
  purpose_ = other.purpose_;
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

Ledger::Booking::~Booking() { give_back(); }

void Ledger::Booking::give_back() noexcept {
  if (!ledger_) return;
  ledger_->held_[static_cast<std::size_t>(purpose_)] -= bytes_;
  ledger_->total_ -= bytes_;
  ledger_.reset();
  bytes_ = 0;
}

}  // namespace switchyard
