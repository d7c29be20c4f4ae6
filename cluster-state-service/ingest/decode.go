// Package ingest receives ECS events from a queue, decodes them and records them in batches.
// Its subpackage kinesis receives them from a stream.
package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/blox/blox/cluster-state-service/state"
)

// ErrUnsupportedKind reports a well-formed event of a kind that Blox does not store, such as a service action.
var ErrUnsupportedKind = errors.New("unsupported kind of event")

// lenient accepts the JSON that encoding/json accepts.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// Decode decodes one EventBridge event. Source: "Amazon ECS events" in the Amazon ECS Developer Guide.
// An error other than ErrUnsupportedKind means that the event is malformed.
func Decode(body []byte) (state.Record, error) {
	kind, err := detailType(body)
	if err != nil {
		return state.Record{}, fmt.Errorf("event: %w", err)
	}
	record := state.Record{Value: body}
	switch kind {
	case "ECS Task State Change":
		task, err := state.DecodeTask(body)
		if err != nil {
			return state.Record{}, fmt.Errorf("event: %w", err)
		}
		record.Key, err = task.Key()
		record.Version = task.Version
		return validate(record, task.LastStatus, err)
	case "ECS Container Instance State Change":
		instance, err := state.DecodeInstance(body)
		if err != nil {
			return state.Record{}, fmt.Errorf("event: %w", err)
		}
		record.Key, err = instance.Key()
		record.Version = instance.Version
		return validate(record, instance.Status, err)
	}
	if !jsontext.Value(body).IsValid(lenient) {
		return state.Record{}, errors.New("event: invalid JSON")
	}
	return state.Record{}, fmt.Errorf("%w: %.100q", ErrUnsupportedKind, kind)
}

// detailType returns the detail-type of an event. It reads no further, because ECS sends the detail-type before the
// detail.
func detailType(body []byte) (string, error) {
	fields := jsontext.NewDecoder(bytes.NewBuffer(body), lenient)
	begin, err := fields.ReadToken()
	if err != nil {
		return "", err
	}
	if begin.Kind() != '{' {
		return "", errors.New("not an object")
	}
	for fields.PeekKind() != '}' {
		name, err := fields.ReadToken()
		if err != nil {
			return "", err
		}
		if !strings.EqualFold(name.String(), "detail-type") {
			if err := fields.SkipValue(); err != nil {
				return "", err
			}
			continue
		}
		kind, err := fields.ReadToken()
		if err != nil {
			return "", err
		}
		if kind.Kind() != '"' {
			return "", errors.New("detail-type is not a string")
		}
		return kind.String(), nil
	}
	return "", errors.New("no detail-type")
}

// validate rejects records that have no version or status: they could not be ordered or filtered.
func validate(record state.Record, status string, err error) (state.Record, error) {
	switch {
	case err != nil:
		return state.Record{}, fmt.Errorf("event: %w", err)
	case record.Version < 1:
		return state.Record{}, fmt.Errorf("event: %s has no version", record.Key)
	case status == "":
		return state.Record{}, fmt.Errorf("event: %s has no status", record.Key)
	}
	return record, nil
}
