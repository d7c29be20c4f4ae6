package environment

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// unknownFields are the JSON fields of a record that this version of Blox does not know. They survive a rewrite, so that two
// versions may run side by side.
type unknownFields map[string]json.RawMessage

// decodeRecord fills record, a pointer to a struct, and returns what it has no field for.
func decodeRecord(data []byte, record any) (unknownFields, error) {
	strict := json.NewDecoder(bytes.NewReader(data))
	strict.DisallowUnknownFields()
	if strict.Decode(record) == nil && strict.InputOffset() == int64(len(data)) {
		return nil, nil // as nearly always, and at half the cost
	}
	reflect.ValueOf(record).Elem().SetZero()
	if err := json.Unmarshal(data, record); err != nil {
		return nil, err
	}
	var all unknownFields
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	for _, field := range reflect.VisibleFields(reflect.TypeOf(record).Elem()) {
		for key := range all {
			if field.IsExported() && field.Tag.Get("json") != "-" && strings.EqualFold(key, field.Name) { // as encoding/json does
				delete(all, key)
			}
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	return all, nil
}

// encode is record, a struct with at least one field, together with the unknown fields.
func (f unknownFields) encode(record any) ([]byte, error) {
	data, err := json.Marshal(record)
	if err != nil || len(f) == 0 {
		return data, err
	}
	keys := make([]string, 0, len(f))
	for key := range f {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	data = data[:len(data)-1] // without its last brace
	for _, key := range keys {
		quoted, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		data = append(append(append(append(data, ','), quoted...), ':'), f[key]...)
	}
	return append(data, '}'), nil
}

// MarshalJSON writes the record.
func (e Environment) MarshalJSON() ([]byte, error) {
	type record Environment // without this method
	return e.unknown.encode(record(e))
}

// UnmarshalJSON reads a record, v0.3's too.
func (e *Environment) UnmarshalJSON(data []byte) error {
	type record Environment
	var r record
	unknown, err := decodeRecord(data, &r)
	if err != nil {
		return err
	}
	*e = Environment(r)
	e.unknown = unknown
	if e.Deployments == nil {
		e.Deployments = map[string]Deployment{}
	}
	for id, d := range e.Deployments {
		d.ID = id // what it is found by is what it is
		e.Deployments[id] = d
	}
	return nil
}

// MarshalJSON writes the record.
func (d Deployment) MarshalJSON() ([]byte, error) {
	type record Deployment
	return d.unknown.encode(record(d))
}

// UnmarshalJSON reads a record, v0.3's too.
func (d *Deployment) UnmarshalJSON(data []byte) error {
	type record Deployment
	var r record
	unknown, err := decodeRecord(data, &r)
	if err != nil {
		return err
	}
	*d = Deployment(r)
	d.unknown = unknown
	return nil
}

// MarshalJSON writes the record.
func (l Launch) MarshalJSON() ([]byte, error) {
	type record Launch
	return l.unknown.encode(record(l))
}

// UnmarshalJSON reads a record.
func (l *Launch) UnmarshalJSON(data []byte) error {
	type record Launch
	var r record
	unknown, err := decodeRecord(data, &r)
	if err != nil {
		return err
	}
	*l = Launch(r)
	l.unknown = unknown
	return nil
}

// MarshalJSON writes the record.
func (m ReadinessAttribute) MarshalJSON() ([]byte, error) {
	type record ReadinessAttribute
	return m.unknown.encode(record(m))
}

// UnmarshalJSON reads a record.
func (m *ReadinessAttribute) UnmarshalJSON(data []byte) error {
	type record ReadinessAttribute
	var r record
	unknown, err := decodeRecord(data, &r)
	if err != nil {
		return err
	}
	*m = ReadinessAttribute(r)
	m.unknown = unknown
	return nil
}
