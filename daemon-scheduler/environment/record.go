package environment

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// unknownFields are the JSON fields of a record that this version of Blox does not know. They survive a rewrite, so
// that two versions may run side by side.
type unknownFields map[string]json.RawMessage

// strictV1 decodes like encoding/json, but rejects unknown fields.
var strictV1 = jsonv2.JoinOptions(jsonv1.DefaultOptionsV1(), jsonv2.RejectUnknownMembers(true))

// decodeRecord fills record, a pointer to a struct, and returns the fields that the struct lacks.
func decodeRecord(data []byte, record any) (unknownFields, error) {
	if jsonv2.Unmarshal(data, record, strictV1) == nil {
		return nil, nil // the usual case, at a quarter of the cost
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
		known := field.IsExported() && field.Tag.Get("json") != "-"
		maps.DeleteFunc(all, func(key string, _ json.RawMessage) bool {
			return known && strings.EqualFold(key, field.Name) // as encoding/json matches names
		})
	}
	if len(all) == 0 {
		return nil, nil
	}
	return all, nil
}

// encode returns the JSON of record, a struct with at least one field, with the unknown fields added.
func (f unknownFields) encode(record any) ([]byte, error) {
	data, err := json.Marshal(record)
	if err != nil || len(f) == 0 {
		return data, err
	}
	data = data[:len(data)-1] // without the closing brace
	for _, key := range slices.Sorted(maps.Keys(f)) {
		quoted, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		data = append(data, ',')
		data = append(data, quoted...)
		data = append(data, ':')
		data = append(data, f[key]...)
	}
	return append(data, '}'), nil
}

// MarshalJSON writes the record.
func (e Environment) MarshalJSON() ([]byte, error) {
	type record Environment // without this method
	return e.unknown.encode(record(e))
}

// UnmarshalJSON reads a record, also one of v0.3.
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
		d.ID = id // the map's key takes precedence
		e.Deployments[id] = d
	}
	e.numberDeployments()
	return nil
}

// MarshalJSON writes the record.
func (d Deployment) MarshalJSON() ([]byte, error) {
	type record Deployment
	return d.unknown.encode(record(d))
}

// UnmarshalJSON reads a record, also one of v0.3.
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
func (a ReadinessAttribute) MarshalJSON() ([]byte, error) {
	type record ReadinessAttribute
	return a.unknown.encode(record(a))
}

// UnmarshalJSON reads a record.
func (a *ReadinessAttribute) UnmarshalJSON(data []byte) error {
	type record ReadinessAttribute
	var r record
	unknown, err := decodeRecord(data, &r)
	if err != nil {
		return err
	}
	*a = ReadinessAttribute(r)
	a.unknown = unknown
	return nil
}

// MarshalJSON writes the revision; one that was read is written unchanged, as revisions are immutable.
func (r Revision) MarshalJSON() ([]byte, error) {
	if r.stored != nil {
		return r.stored, nil
	}
	type record Revision
	return json.Marshal(record(r))
}

// UnmarshalJSON reads a revision.
func (r *Revision) UnmarshalJSON(data []byte) error {
	type record Revision
	var read record
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	*r = Revision(read)
	r.stored = slices.Clone(data)
	return nil
}
