#include "switchyard/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "switchyard/error.h"

namespace switchyard {
namespace {

using testing::HasSubstr;

TEST(Ledger, BooksAndGivesBack) {
  const auto ledger = std::make_shared<Ledger>(1000);
  EXPECT_EQ(ledger->left(), 1000u);
  {
    const auto kv = Ledger::book(ledger, Purpose::kv_cache, 300);
    const auto slots = Ledger::book(ledger, Purpose::expert_slots, 700);
    EXPECT_EQ(kv.bytes(), 300u);
    EXPECT_EQ(ledger->held(Purpose::kv_cache), 300u);
    EXPECT_EQ(ledger->held(Purpose::expert_slots), 700u);
    EXPECT_EQ(ledger->total(), 1000u);
    EXPECT_EQ(ledger->left(), 0u);
  }
  EXPECT_EQ(ledger->total(), 0u);
  EXPECT_EQ(ledger->held(Purpose::kv_cache), 0u);
  EXPECT_EQ(ledger->peak(), 1000u);
}

TEST(Ledger, RefusesWhatDoesNotFitAndSaysWhoHoldsWhat) {
  const auto ledger = std::make_shared<Ledger>(4096);
  const auto dense = Ledger::book(ledger, Purpose::dense_weights, 3072);
  try {
    Ledger::book(ledger, Purpose::scratch, 1025);
    FAIL() << "booked more than the budget";
  } catch (const Error& error) {
    EXPECT_THAT(error.parts().what, HasSubstr("1.00 KiB for scratch"));
    EXPECT_THAT(error.parts().where, HasSubstr("budget 4.00 KiB"));
    EXPECT_THAT(error.parts().where, HasSubstr("dense weights 3.00 KiB"));
    EXPECT_THAT(error.parts().expected, HasSubstr("1.00 KiB"));
    EXPECT_THAT(error.parts().fix, HasSubstr("--mem-budget"));
  }
  EXPECT_EQ(ledger->total(), 3072u);
  EXPECT_NO_THROW(Ledger::book(ledger, Purpose::scratch, 1024));
  EXPECT_EQ(ledger->held(Purpose::scratch), 0u);
}

TEST(Ledger, UnlimitedTakesAllButAnOverflow) {
  const auto ledger = std::make_shared<Ledger>();
  const auto most = Ledger::book(ledger, Purpose::process, ~std::uint64_t{0} - 5);
  EXPECT_EQ(ledger->left(), Ledger::kUnlimited);
  EXPECT_THROW(Ledger::book(ledger, Purpose::process, 6), Error);
}

TEST(Ledger, AMovedBookingIsGivenBackOnce) {
  const auto ledger = std::make_shared<Ledger>(100);
  auto first = Ledger::book(ledger, Purpose::scratch, 40);
  auto second = std::move(first);
  EXPECT_EQ(first.bytes(), 0u);  // NOLINT: what a moved booking holds is the point
  EXPECT_EQ(ledger->total(), 40u);
  second = Ledger::book(ledger, Purpose::scratch, 60);
  EXPECT_EQ(ledger->total(), 60u);
  second = Ledger::Booking();
  EXPECT_EQ(ledger->total(), 0u);
}

TEST(Ledger, ABookingOutlivesItsOwnersHandle) {
  auto ledger = std::make_shared<Ledger>(100);
  auto booking = Ledger::book(ledger, Purpose::scratch, 40);
  ledger.reset();
  EXPECT_EQ(booking.bytes(), 40u);
}

TEST(Ledger, ThreadsNeverExceedTheBudgetTogether) {
  const auto ledger = std::make_shared<Ledger>(10);
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        try {
          const auto booking = Ledger::book(ledger, Purpose::io_buffers, 4);
        } catch (const Error&) {
          // Two of the four fit at a time.
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(ledger->peak(), 8u);
  EXPECT_EQ(ledger->total(), 0u);
  EXPECT_EQ(ledger->held(Purpose::io_buffers), 0u);
}

TEST(Ledger, TheTableNamesEveryPurpose) {
  const auto ledger = std::make_shared<Ledger>(std::uint64_t{2} << 20);
  const auto slots = Ledger::book(ledger, Purpose::expert_slots, 1 << 20);
  const std::string table = ledger->table();
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kPurposes; ++i) {
    const auto name = purpose_name(static_cast<Purpose>(i));
    EXPECT_THAT(table, HasSubstr(std::string(name)));
    names.insert(name);
  }
  EXPECT_EQ(names.size(), kPurposes);
  EXPECT_THAT(table, HasSubstr("expert slots      1.00 MiB\n"));
  EXPECT_THAT(table, HasSubstr("budget            2.00 MiB\n"));
  EXPECT_THAT(Ledger().table(), HasSubstr("unlimited"));
}

}  // namespace
}  // namespace switchyard
