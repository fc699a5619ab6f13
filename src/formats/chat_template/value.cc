#include "formats/chat_template/value.h"

namespace switchyard::chat_template {

Value Value::undefined(std::string name) {
  return Value(Data(Undefined{std::make_shared<const std::string>(std::move(name))}));
}

Value::Kind Value::kind() const { return static_cast<Kind>(data_.index()); }

std::int64_t Value::integer() const {
  return is(Kind::boolean) ? std::int64_t{boolean()} : std::get<std::int64_t>(data_);
}

double Value::real() const {
  return is(Kind::real) ? std::get<double>(data_) : static_cast<double>(integer());
}

std::string Value::undefined_name() const {
  const auto& name = std::get<Undefined>(data_).name;
  return name ? *name : "value";
}

bool Value::truth() const {
  switch (kind()) {
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
    case Kind::integer:
      return integer() != 0;
    case Kind::real:
      return real() != 0;
    case Kind::string:
      return !string().empty();
    case Kind::list:
      return list().form == List::Form::lazy || !list().items.empty();
    case Kind::dict:
      return !dict().items.empty();
    default:
      return true;
  }
}

int Value::depth() const {
  if (is(Kind::list)) return list().depth;
  if (is(Kind::dict)) return dict().depth;
  return 0;
}

std::string Value::described() const {
  switch (kind()) {
    case Kind::undefined:
      return "an undefined value";
    case Kind::none:
      return "None";
    case Kind::boolean:
      return "a truth value";
    case Kind::integer:
    case Kind::real:
      return "a number";
    case Kind::string:
      return "a string";
    case Kind::list:
      return list().form == List::Form::lazy ? "a lazy list (see the filter 'list')" : "a list";
    case Kind::dict:
      return "a dict";
    case Kind::space:
      return "a namespace";
    case Kind::loop:
      return "a loop";
    case Kind::callable:
      return "a function";
  }
  return "a value";
}

const Value* Dict::find(std::string_view key) const {
  const auto place = places.find(key);
  return place == places.end() ? nullptr : &items[place->second].second;
}

const Value* Namespace::find(std::string_view name) const {
  for (const auto& [key, value] : items) {
    if (key == name) return &value;
  }
  return nullptr;
}

void Namespace::set(std::string_view name, Value value) {
  for (auto& [key, old] : items) {
    if (key != name) continue;
    old = std::move(value);
    return;
  }
  items.emplace_back(name, std::move(value));
}

}  // namespace switchyard::chat_template
