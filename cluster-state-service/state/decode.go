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

// jsonV1Semantics decodes like encoding/json, at a third of its cost. Among other things, keys match in any case.
var jsonV1Semantics = jsonv1.DefaultOptionsV1()

// decodeDetail decodes the detail of an envelope and returns the envelope's time, empty if it has none.
func decodeDetail[T any](value []byte, into *T) (at string, err error) {
	envelope := struct {
		Time   string
		Detail *T
	}{Detail: into}
	if err := jsonv2.Unmarshal(value, &envelope, jsonV1Semantics); err != nil {
		return "", fmt.Errorf("decode: %w", err)
	}
	if envelope.Detail == nil { // {"detail":null}
		return "", errors.New("decode: detail is missing")
	}
	return envelope.Time, nil
}

// equalJSON compares the JSON forms of two values. It treats nil and empty slices as equal.
func equalJSON(a, b any) bool {
	left, errLeft := json.Marshal(a)
	right, errRight := json.Marshal(b)
	nullToEmpty := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("null"), []byte("[]")) }
	return errLeft == nil && errRight == nil && bytes.Equal(nullToEmpty(left), nullToEmpty(right))
}

func sortBy[T any](items []T, by func(T) string) {
	slices.SortStableFunc(items, func(a, b T) int { return cmp.Compare(by(a), by(b)) })
}

// normalizeTime formats a time in UTC with milliseconds. It returns a malformed time unchanged.
func normalizeTime(s string) string {
	if at, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return at.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
	}
	return s
}

// Timestamp formats a time as RFC 3339 in UTC with milliseconds.
func Timestamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

// latest returns the later of two times in RFC 3339. It ignores malformed times and returns zero if both are malformed.
func latest(a, b string) time.Time {
	first, _ := time.Parse(time.RFC3339Nano, a)
	second, _ := time.Parse(time.RFC3339Nano, b)
	if second.After(first) {
		return second
	}
	return first
}
