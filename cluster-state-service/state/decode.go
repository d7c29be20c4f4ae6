package state

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// jsonV1Semantics is encoding/json's way with JSON, at a third of its cost: among others, keys match in any case.
var jsonV1Semantics = jsonv1.DefaultOptionsV1()

// decodeDetail reads the detail of an envelope into a record and returns the envelope's time, empty where there is
// none.
func decodeDetail[T any](value []byte, into *T) (at string, err error) {
	envelope := struct {
		Time   string
		Detail *T
	}{Detail: into}
	if err := jsonv2.Unmarshal(value, &envelope, jsonV1Semantics); err != nil {
		return "", fmt.Errorf("decode: %w", err)
	}
	if envelope.Detail == nil { // {"detail":null}
		return "", errors.New("decode: no detail")
	}
	return envelope.Time, nil
}

// equalJSON compares by JSON form, to which nil and empty slices would differ; omitting both makes them one.
func equalJSON(a, b any) bool {
	left, errLeft := json.Marshal(a)
	right, errRight := json.Marshal(b)
	return errLeft == nil && errRight == nil &&
		bytes.Equal(bytes.ReplaceAll(left, []byte("null"), []byte("[]")), bytes.ReplaceAll(right, []byte("null"), []byte("[]")))
}

func sortBy[T any](items []T, by func(T) string) {
	slices.SortStableFunc(items, func(a, b T) int { return cmp.Compare(by(a), by(b)) })
}

// normalizeTime is one spelling for all spellings of a time, to the millisecond; what is no time stays as it is.
func normalizeTime(s string) string {
	if at, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return at.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
	}
	return s
}

// Timestamp is how Blox writes a time: RFC 3339 in UTC with milliseconds.
func Timestamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

// latest is the later of two times in RFC 3339; what is no time does not count, and zero is returned when neither is
// one.
func latest(a, b string) time.Time {
	first, _ := time.Parse(time.RFC3339Nano, a)
	second, _ := time.Parse(time.RFC3339Nano, b)
	if second.After(first) {
		return second
	}
	return first
}
