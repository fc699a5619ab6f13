// The filters.
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

#include "formats/chat_template/builtins.h"
#include "formats/chat_template/text_functions.h"
#include "formats/json.h"

namespace switchyard::chat_template {
namespace {

using Kind = Value::Kind;

struct Filter {
  std::string_view name;
  Value (*call)(Interpreter& in, const Value& subject, ArgumentReader& arguments);
};

void refuse_undefined(Interpreter& in, const Value& value) {
  if (value.is(Kind::undefined)) in.fail(shown(value.undefined_name()) + " is undefined");
}

Value of_text(Interpreter& in, const Value& subject, std::string (*change)(std::string_view)) {
  const std::string text = to_text(in, subject);
  in.charge(text.size() * 2);
  return make_string(in, change(text));
}

Value upper(Interpreter& in, const Value& subject, ArgumentReader&) {
  return of_text(in, subject, upper_case);
}
Value lower(Interpreter& in, const Value& subject, ArgumentReader&) {
  return of_text(in, subject, lower_case);
}
Value capitalize(Interpreter& in, const Value& subject, ArgumentReader&) {
  return of_text(in, subject, capitalized);
}

// Each word behind a space, a bracket or a "-" begins with a capital.
Value title(Interpreter& in, const Value& subject, ArgumentReader&) {
  return of_text(in, subject, [](std::string_view text) {
    std::string out;
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
      const bool cut = i == text.size() ||
                       std::string_view("-([{< \t\n\v\f\r").find(text[i]) != std::string_view::npos;
      if (!cut) continue;
      out += capitalized(text.substr(begin, i - begin));
      if (i < text.size()) out += text[i];
      begin = i + 1;
    }
    return out;
  });
}

Value trim(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  const std::string text = to_text(in, subject);
  const Value* characters = arguments.optional("chars");
  if (characters == nullptr || characters->is(Kind::none)) {
    return make_string(in, std::string(strip_begin(strip_end(text))));
  }
  const std::string set = to_text(in, *characters);
  in.charge(set.size() > 64 ? text.size() / 64 * set.size() : 0);
  return make_string(in, std::string(strip_begin(strip_end(text, set), set)));
}

Value length(Interpreter& in, const Value& subject, ArgumentReader&) {
  return length_of(in, subject);
}

Value string(Interpreter& in, const Value& subject, ArgumentReader&) {
  return make_string(in, to_text(in, subject));
}

Value list(Interpreter& in, const Value& subject, ArgumentReader&) {
  return make_list(in, items_of(in, subject));
}

Value items(Interpreter& in, const Value& subject, ArgumentReader&) {
  if (subject.is(Kind::undefined)) return make_list(in, {}, List::Form::lazy);
  if (!subject.is(Kind::dict)) in.fail("the filter 'items' gets " + subject.described(), "a dict");
  const Value pairs = items_of_dict(in, subject);
  return make_list(in, pairs.list().items, List::Form::lazy);
}

Value first(Interpreter& in, const Value& subject, ArgumentReader&) {
  const std::vector<Value> all = items_of(in, subject);
  return all.empty() ? Value::undefined("the first item") : all.front();
}

Value last(Interpreter& in, const Value& subject, ArgumentReader&) {
  const std::vector<Value> all = items_of(in, subject);
  return all.empty() ? Value::undefined("the last item") : all.back();
}

Value reverse(Interpreter& in, const Value& subject, ArgumentReader&) {
  std::vector<Value> all = items_of(in, subject);
  std::reverse(all.begin(), all.end());
  if (!subject.is(Kind::string)) return make_list(in, std::move(all), List::Form::lazy);
  std::string out;
  for (const Value& character : all) out += character.string();
  return make_string(in, std::move(out));
}

Value fallback(Interpreter&, const Value& subject, ArgumentReader& arguments) {
  const Value* other = arguments.optional("default_value");
  const bool also_false = arguments.truth("boolean", false);
  if (!subject.is(Kind::undefined) && (!also_false || subject.truth())) return subject;
  return other == nullptr ? Value("") : *other;
}

Value replace(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  const std::string text = to_text(in, subject);
  const std::string old = to_text(in, arguments.required("old"));
  const std::string replacement = to_text(in, arguments.required("new"));
  const std::int64_t most = arguments.integer("count", -1);
  return replaced(in, text, old, replacement, most < 0 ? std::nullopt : std::optional(most));
}

// "a.b.0": attributes of attributes.
Value path_of(Interpreter& in, const Value& value, const std::string& path) {
  Value out = value;
  for (const std::string_view part : split_at(path, ".", -1)) {
    std::int64_t index = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool number = error == std::errc() && end == part.data() + part.size();
    out = item_of(in, out, number ? Value(index) : Value(part));
  }
  return out;
}

Value join(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  const std::string separator = arguments.text("d", "");
  const Value* attribute = arguments.optional("attribute");
  std::string out;
  bool is_first = true;
  for (const Value& item : items_of(in, subject)) {
    in.charge(separator.size());
    if (!is_first) out += separator;
    is_first = false;
    out += attribute == nullptr ? to_text(in, item)
                                : to_text(in, path_of(in, item, to_text(in, *attribute)));
  }
  return make_string(in, std::move(out));
}

Value to_integer(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  refuse_undefined(in, subject);
  const Value* given = arguments.optional("default");
  const Value other = given == nullptr ? Value(0) : *given;
  if (subject.is(Kind::integer) || subject.is(Kind::boolean)) return subject.integer();
  double real = 0;
  if (subject.is(Kind::real)) {
    real = subject.real();
  } else if (subject.is(Kind::string)) {
    in.charge(subject.string().size());
    std::string_view text = strip_begin(strip_end(subject.string()));
    if (text.starts_with('+')) text.remove_prefix(1);
    std::int64_t integer = 0;
    const char* const end = text.data() + text.size();
    if (const auto [at, error] = std::from_chars(text.data(), end, integer);
        error == std::errc() && at == end) {
      return integer;
    }
    const auto [at, error] = std::from_chars(text.data(), end, real);
    if (error != std::errc() || at != end) return other;
  } else {
    return other;
  }
  constexpr double kLargest = 9.2e18;
  if (!(std::abs(real) < kLargest)) return other;
  return static_cast<std::int64_t>(real);
}

Value to_real(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  refuse_undefined(in, subject);
  const Value* given = arguments.optional("default");
  if (subject.is_number()) return subject.real();
  if (subject.is(Kind::string)) {
    in.charge(subject.string().size());
    std::string_view text = strip_begin(strip_end(subject.string()));
    if (text.starts_with('+')) text.remove_prefix(1);
    double real = 0;
    const char* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, real);
    if (error == std::errc() && at == end) return real;
  }
  return given == nullptr ? Value(0.0) : *given;
}

Value absolute(Interpreter& in, const Value& subject, ArgumentReader&) {
  if (!subject.is_number()) in.fail("the filter 'abs' gets " + subject.described(), "a number");
  if (subject.is(Kind::real)) return std::abs(subject.real());
  return subject.integer() < 0 ? negated(in, subject) : Value(subject.integer());
}

Value round(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  if (!subject.is_number()) in.fail("the filter 'round' gets " + subject.described(), "a number");
  const std::int64_t digits = arguments.integer("precision", 0);
  const std::string method = arguments.text("method", "common");
  constexpr std::int64_t kMostDigits = 15;
  if (digits < 0 || digits > kMostDigits) in.fail("the filter 'round' gets too many digits");
  if (method == "common" && !subject.is(Kind::real)) return subject.integer();
  const double scale = std::pow(10.0, static_cast<double>(digits));
  const double scaled = subject.real() * scale;
  if (method == "ceil") return std::ceil(scaled) / scale;
  if (method == "floor") return std::floor(scaled) / scale;
  if (method != "common") in.fail("the filter 'round' has no method " + shown(method));
  return std::nearbyint(scaled) / scale;  // halves to the even neighbour, as Python does
}

// Items as the filter's "attribute" names them.
std::vector<std::pair<Value, Value>> with_keys(Interpreter& in, const Value& subject,
                                               const Value* attribute, bool case_matters) {
  std::vector<std::pair<Value, Value>> out;
  for (const Value& item : items_of(in, subject)) {
    Value key = attribute == nullptr || attribute->is(Kind::none)
                    ? item
                    : path_of(in, item, to_text(in, *attribute));
    if (!case_matters && key.is(Kind::string)) {
      in.charge(key.string().size());
      key = Value(lower_case(key.string()));
    }
    out.emplace_back(std::move(key), item);
  }
  return out;
}

Value list_of_items(Interpreter& in, std::vector<std::pair<Value, Value>> keyed,
                    List::Form form = List::Form::list) {
  std::vector<Value> out;
  for (auto& [key, item] : keyed) out.push_back(std::move(item));
  return make_list(in, std::move(out), form);
}

Value sort(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  const bool backwards = arguments.truth("reverse", false);
  const bool case_matters = arguments.truth("case_sensitive", false);
  auto keyed = with_keys(in, subject, arguments.optional("attribute"), case_matters);
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    return backwards ? less(in, b.first, a.first) : less(in, a.first, b.first);
  });
  return list_of_items(in, std::move(keyed));
}

Value unique(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  const bool case_matters = arguments.truth("case_sensitive", false);
  std::vector<std::pair<Value, Value>> kept;
  for (auto& entry : with_keys(in, subject, arguments.optional("attribute"), case_matters)) {
    const bool seen = std::any_of(kept.begin(), kept.end(), [&](const auto& other) {
      return equal(in, other.first, entry.first);
    });
    if (!seen) kept.push_back(std::move(entry));
  }
  return list_of_items(in, std::move(kept), List::Form::lazy);
}

template <bool largest>
Value extreme(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  const bool case_matters = arguments.truth("case_sensitive", false);
  const auto keyed = with_keys(in, subject, arguments.optional("attribute"), case_matters);
  if (keyed.empty()) return Value::undefined("an extreme of nothing");
  std::size_t best = 0;
  for (std::size_t i = 1; i < keyed.size(); ++i) {
    const Value& a = keyed[largest ? best : i].first;
    const Value& b = keyed[largest ? i : best].first;
    if (less(in, a, b)) best = i;
  }
  return keyed[best].second;
}

Value sum(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  const Value* attribute = arguments.optional("attribute");
  const Value* start = arguments.optional("start");
  Value out = start == nullptr ? Value(0) : *start;
  for (const auto& [key, item] : with_keys(in, subject, attribute, true)) {
    out = arithmetic(in, "+", out, key);
  }
  return out;
}

// (key, value) in the order of the keys, or of the values.
Value dictsort(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  if (!subject.is(Kind::dict)) {
    in.fail("the filter 'dictsort' gets " + subject.described(), "a dict");
  }
  const bool case_matters = arguments.truth("case_sensitive", false);
  const bool by_value = arguments.text("by", "key") == "value";
  const bool backwards = arguments.truth("reverse", false);
  const Value pairs = items_of_dict(in, subject);
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& pair : pairs.list().items) {
    const Value& key = pair.list().items[by_value ? 1 : 0];
    const bool lowered = key.is(Kind::string) && !case_matters;
    keyed.emplace_back(lowered ? Value(lower_case(key.string())) : key, pair);
  }
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    return backwards ? less(in, b.first, a.first) : less(in, a.first, b.first);
  });
  return list_of_items(in, std::move(keyed));
}

Value indent(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  refuse_undefined(in, subject);
  if (!subject.is(Kind::string)) {
    in.fail("the filter 'indent' gets " + subject.described(), "a string");
  }
  const std::string& text = subject.string();
  const Value* width = arguments.optional("width");
  const bool first_too = arguments.truth("first", false);
  const bool blank_too = arguments.truth("blank", false);
  std::string margin(4, ' ');
  if (width != nullptr && width->is(Kind::string)) {
    margin = width->string();
  } else if (width != nullptr) {
    constexpr std::int64_t kWidest = 1000;
    if (!width->is(Kind::integer) || width->integer() > kWidest) {
      in.fail("the filter 'indent' gets a wrong width", "at most " + std::to_string(kWidest));
    }
    margin.assign(static_cast<std::size_t>(std::max<std::int64_t>(width->integer(), 0)), ' ');
  }
  std::string out = first_too ? margin : "";
  bool is_first = true;
  const std::string ended = text + "\n";  // an empty last line counts
  for (const std::string_view line : split_lines(ended, false)) {
    in.charge(margin.size() + line.size() + kValueCost);
    if (!is_first) out += '\n';
    if (!is_first && (blank_too || !line.empty())) out += margin;
    out += line;
    is_first = false;
  }
  return make_string(in, std::move(out));
}

Value tojson(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  JsonStyle style;
  const Value* ascii = arguments.optional("ensure_ascii");
  const Value* width = arguments.optional("indent");
  const Value* separators = arguments.optional("separators");
  style.ascii = ascii != nullptr && ascii->truth();
  style.sort_keys = arguments.truth("sort_keys", false);
  if (width != nullptr && !width->is(Kind::none)) {
    style.lines = true;
    style.item_separator = ",";
    constexpr std::int64_t kWidest = 64;
    if (width->is(Kind::string)) {
      style.indent = width->string();
    } else if (width->is(Kind::integer) && width->integer() <= kWidest) {
      style.indent.assign(static_cast<std::size_t>(std::max<std::int64_t>(width->integer(), 0)),
                          ' ');
    } else {
      in.fail("the filter 'tojson' gets a wrong indent", "at most " + std::to_string(kWidest));
    }
  }
  if (separators != nullptr && !separators->is(Kind::none)) {
    const bool two = separators->is(Kind::list) && separators->list().items.size() == 2;
    if (!two) in.fail("the filter 'tojson' gets wrong separators", "two strings");
    style.item_separator = to_text(in, separators->list().items[0]);
    style.key_separator = to_text(in, separators->list().items[1]);
    in.charge((style.item_separator.size() + style.key_separator.size()) * 1024);
  }
  return make_string(in, to_json(in, subject, style));
}

// The arguments behind the first `count`, for the filter or test that map() and select() name.
Arguments rest_of(const Arguments& arguments, std::size_t count) {
  Arguments out;
  for (std::size_t i = count; i < arguments.positional.size(); ++i) {
    out.positional.push_back(arguments.positional[i]);
  }
  out.named = arguments.named;
  return out;
}

const std::string& name_argument(Interpreter& in, std::string_view filter,
                                 const Arguments& arguments, std::size_t at) {
  if (at >= arguments.positional.size() || !arguments.positional[at].is(Kind::string)) {
    in.fail("the filter " + shown(filter) + " lacks a name", "a string");
  }
  return arguments.positional[at].string();
}

// These filters take None, 0 and the like as nothing.
std::vector<Value> items_of_true(Interpreter& in, const Value& subject) {
  return subject.truth() ? items_of(in, subject) : std::vector<Value>();
}

// map(attribute="a", default=b), map("filter", arguments...)
Value map(Interpreter& in, const Value& subject, const Arguments& arguments) {
  const auto named = [&](std::string_view name) -> const Value* {
    for (const auto& [key, value] : arguments.named) {
      if (key == name) return &value;
    }
    return nullptr;
  };
  const Value* attribute = arguments.positional.empty() ? named("attribute") : nullptr;
  std::vector<Value> out;
  for (const Value& item : items_of_true(in, subject)) {
    if (attribute == nullptr) {
      out.push_back(
          apply_filter(in, name_argument(in, "map", arguments, 0), item, rest_of(arguments, 1)));
      continue;
    }
    Value value = path_of(in, item, to_text(in, *attribute));
    const Value* other = named("default");
    out.push_back(value.is(Kind::undefined) && other != nullptr ? *other : std::move(value));
  }
  return make_list(in, std::move(out), List::Form::lazy);
}

// select, reject, selectattr, rejectattr: keeps items for which a test holds, or fails.
Value select(Interpreter& in, std::string_view filter, const Value& subject,
             const Arguments& arguments) {
  const bool by_attribute = filter.ends_with("attr");
  const bool wanted = filter.starts_with("select");
  const std::size_t test_at = by_attribute ? 1 : 0;
  std::vector<Value> out;
  for (const Value& item : items_of_true(in, subject)) {
    const Value looked_at =
        by_attribute ? path_of(in, item, name_argument(in, filter, arguments, 0)) : item;
    const bool holds = arguments.positional.size() > test_at
                           ? apply_test(in, name_argument(in, filter, arguments, test_at),
                                        looked_at, rest_of(arguments, test_at + 1))
                           : looked_at.truth();
    if (holds == wanted) out.push_back(item);
  }
  return make_list(in, std::move(out), List::Form::lazy);
}

constexpr std::array<Filter, 30> kFilters{{
    {"abs", absolute},      {"capitalize", capitalize}, {"count", length},    {"d", fallback},
    {"default", fallback},  {"dictsort", dictsort},     {"first", first},     {"float", to_real},
    {"indent", indent},     {"int", to_integer},        {"items", items},     {"join", join},
    {"last", last},         {"length", length},         {"list", list},       {"lower", lower},
    {"max", extreme<true>}, {"min", extreme<false>},    {"replace", replace}, {"reverse", reverse},
    {"round", round},       {"safe", string},           {"sort", sort},       {"string", string},
    {"sum", sum},           {"title", title},           {"tojson", tojson},   {"trim", trim},
    {"unique", unique},     {"upper", upper},
}};

constexpr std::array<std::string_view, 5> kSelecting = {"map", "reject", "rejectattr", "select",
                                                        "selectattr"};

}  // namespace

bool is_filter(std::string_view name) {
  return std::any_of(kFilters.begin(), kFilters.end(),
                     [&](const Filter& filter) { return filter.name == name; }) ||
         std::find(kSelecting.begin(), kSelecting.end(), name) != kSelecting.end();
}

Value apply_filter(Interpreter& in, std::string_view name, const Value& subject,
                   const Arguments& arguments) {
  in.charge(kValueCost);
  for (const Filter& filter : kFilters) {
    if (filter.name != name) continue;
    ArgumentReader reader(in, "the filter " + shown(name), arguments);
    Value out = filter.call(in, subject, reader);
    reader.done();
    return out;
  }
  if (name == "map") return map(in, subject, arguments);
  if (is_filter(name)) return select(in, name, subject, arguments);
  std::string known;
  for (const Filter& filter : kFilters) known += std::string(filter.name) + ", ";
  for (const std::string_view each : kSelecting) {
    known += std::string(each) + (each == kSelecting.back() ? "" : ", ");
  }
  in.fail("there is no filter " + shown(name), "one of " + known);
}

}  // namespace switchyard::chat_template
