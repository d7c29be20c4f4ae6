package conformance

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// checker compares a decoded value with a type of the SDK.
type checker struct {
	service *service
	found   []string
}

func (c *checker) add(path, format string, args ...any) {
	c.found = append(c.found, strings.TrimPrefix(path, ".")+" "+fmt.Sprintf(format, args...))
}

var timeType = reflect.TypeFor[time.Time]()

func (c *checker) value(path string, value any, t reflect.Type) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case value == nil:
		c.add(path, "is null")
	case t == timeType:
		c.time(path, value)
	case t.Kind() == reflect.Struct:
		c.structure(path, value, t)
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		c.blob(path, value)
	case t.Kind() == reflect.Slice:
		c.list(path, value, t)
	case t.Kind() == reflect.Map:
		members, ok := value.(map[string]any)
		if !ok {
			c.add(path, "is %T, not a map", value)
		}
		for key, member := range members {
			c.value(path+"."+key, member, t.Elem())
		}
	default:
		c.scalar(path, value, t)
	}
}

func (c *checker) structure(path string, value any, t reflect.Type) {
	members, ok := value.(map[string]any)
	if !ok {
		c.add(path, "is %T, not a structure", value)
		return
	}
	for name, member := range members {
		field, known := c.field(t, name)
		if !known {
			c.add(path+"."+name, "is no member of %s", t.Name())
			continue
		}
		c.value(path+"."+name, member, field.Type)
		if allowed := statuses[t.Name()+"."+field.Name]; allowed != nil && !slices.Contains(allowed, fmt.Sprint(member)) {
			c.add(path+"."+name, "%q is not one of %q", member, allowed)
		}
	}
	for _, name := range c.service.required[t.Name()] {
		if _, present := members[name]; !present {
			c.add(path+"."+name, "is missing; it is required of %s", t.Name())
		}
	}
}

// field returns the field of a member. Members of ECS begin with a small letter, those of the other services do not.
func (c *checker) field(t reflect.Type, member string) (reflect.StructField, bool) {
	name := member
	if c.service.smallMembers {
		first, size := utf8.DecodeRuneInString(member)
		if !unicode.IsLower(first) {
			return reflect.StructField{}, false
		}
		name = string(unicode.ToUpper(first)) + member[size:]
	}
	field, ok := t.FieldByName(name)
	return field, ok && name != "ResultMetadata"
}

func (c *checker) list(path string, value any, t reflect.Type) {
	items, ok := value.([]any)
	if !ok {
		c.add(path, "is %T, not a list", value)
		return
	}
	if len(items) == 0 && slices.Contains(nonEmpty, t.Elem().Name()) {
		c.add(path, "is empty")
	}
	for _, item := range items {
		c.value(path+"[]", item, t.Elem())
	}
}

func (c *checker) blob(path string, value any) {
	text, ok := value.(string)
	if !ok {
		c.add(path, "is %T, not a blob", value)
	} else if _, err := base64.StdEncoding.DecodeString(text); err != nil {
		c.add(path, "is not base64")
	}
}

// time checks a time: seconds since 1970, or a text in the query protocol.
func (c *checker) time(path string, value any) {
	if text, ok := value.(string); ok && c.service.form {
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			c.add(path, "%q is not a time", text)
		}
		return
	}
	if _, ok := value.(json.Number); !ok {
		c.add(path, "is %T, not seconds since 1970", value)
	}
}

func (c *checker) scalar(path string, value any, t reflect.Type) {
	ok := false
	switch t.Kind() {
	case reflect.String:
		_, ok = value.(string)
	case reflect.Bool:
		_, ok = value.(bool)
	case reflect.Float32, reflect.Float64:
		_, ok = value.(json.Number)
	case reflect.Int32, reflect.Int64:
		var number json.Number
		if number, ok = value.(json.Number); ok {
			n, err := number.Int64()
			ok = err == nil && !reflect.Zero(t).OverflowInt(n)
		}
	}
	if !ok {
		c.add(path, "%v (%T) is no %s", value, value, t)
		return
	}
	if values := enumValues(t); values != nil && !slices.Contains(values, value.(string)) {
		c.add(path, "%q is not one of %q", value, values)
	}
}

// enumValues returns the values of an enum; nil for other types.
func enumValues(t reflect.Type) (values []string) {
	method, ok := t.MethodByName("Values")
	if !ok || t.Kind() != reflect.String {
		return nil
	}
	list := method.Func.Call([]reflect.Value{reflect.Zero(t)})[0]
	for n := range list.Len() {
		values = append(values, list.Index(n).String())
	}
	return values
}
