#include "base/table.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "switchyard/error.h"

#include "base/check.h"

namespace switchyard {
namespace {

Table sample() {
  Table table{{"policy"},
              {"budget", "budget_bytes"},
              {"hits", "hit_ratio"},
              {"tokens/s", "tokens_per_second"},
              {"same"}};
  table.add_row({"lru", Cell::bytes(64u << 20), Cell::percent(0.98765), Cell::number(31.249, 1),
                 Cell::yes_no(true)});
  table.add_row({"decayed é専", Cell::bytes(900), Cell(), Cell::number(7), Cell::yes_no(false)});
  return table;
}

TEST(Table, TextIsAligned) {
  EXPECT_EQ(sample().render(TableFormat::text),
            "policy         budget    hits  tokens/s  same\n"
            "-----------  --------  ------  --------  ----\n"
            "lru          64.0 MiB  98.8 %      31.2  yes\n"
            "decayed é専     900 B       -      7.00  no\n");
}

TEST(Table, Markdown) {
  Table table{{"a|b"}, {"n"}};
  table.add_row({"x|y\nz", 3});
  EXPECT_EQ(table.render(TableFormat::markdown),
            "| a\\|b | n |\n"
            "| --- | ---: |\n"
            "| x\\|y z | 3 |\n");
}

TEST(Table, CsvCarriesFullValues) {
  Table table{{"name"}, {"share", "hit_ratio"}, {"bytes"}, {"same"}};
  table.add_row({"plain", Cell::percent(0.98765), Cell::bytes(1500), Cell::yes_no(true)});
  table.add_row({"a,\"b\"\nc", Cell::number(std::nan("")), Cell(), Cell::yes_no(false)});
  EXPECT_EQ(table.render(TableFormat::csv),
            "name,hit_ratio,bytes,same\n"
            "plain,0.98765,1500,true\n"
            "\"a,\"\"b\"\"\nc\",nan,,false\n");
}

TEST(Table, JsonHasTypesAndKeys) {
  const auto json = nlohmann::json::parse(sample().render(TableFormat::json));
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(json[0]["policy"], "lru");
  EXPECT_EQ(json[0]["budget_bytes"], 64u << 20);
  EXPECT_EQ(json[0]["hit_ratio"], 0.98765);
  EXPECT_EQ(json[0]["same"], true);
  EXPECT_TRUE(json[1]["hit_ratio"].is_null());
  EXPECT_EQ(json[1]["tokens_per_second"], 7.0);
}

TEST(Table, JsonIsAlwaysWellFormed) {
  Table table{{"name"}, {"x"}};
  table.add_row({"\xff\"\\\n", Cell::number(std::numeric_limits<double>::infinity(), 2)});
  const auto json = nlohmann::json::parse(table.render(TableFormat::json));
  EXPECT_EQ(json[0]["name"], "\ufffd\"\\\n");
  EXPECT_TRUE(json[0]["x"].is_null());
}

TEST(Table, EmptyTables) {
  const Table table{{"a"}, {"b"}};
  EXPECT_EQ(table.render(TableFormat::text), "a  b\n-  -\n");
  EXPECT_EQ(table.render(TableFormat::csv), "a,b\n");
  EXPECT_EQ(table.render(TableFormat::json), "[]\n");
}

TEST(Table, ARowOfAnotherLengthIsOurBug) {
  Table table{{"a"}};
  EXPECT_THROW(table.add_row({1, 2}), InternalError);
}

TEST(Table, FormatsByName) {
  EXPECT_EQ(parse_table_format("md", "-o"), TableFormat::markdown);
  EXPECT_EQ(parse_table_format("json", "-o"), TableFormat::json);
  try {
    parse_table_format("xml", "-o");
    FAIL() << "accepted xml";
  } catch (const Error& error) {
    EXPECT_EQ(error.parts().where, "-o");
    EXPECT_THAT(error.parts().expected, testing::HasSubstr("csv"));
  }
}

}  // namespace
}  // namespace switchyard
