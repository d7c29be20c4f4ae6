// Package ingest takes ECS's events from a queue or a stream, decodes them and has them recorded.
package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/blox/blox/cluster-state-service/state"
)

// ErrUnsupportedKind is what Decode returns for well-formed events of kinds that Blox does not keep, such as service actions.
var ErrUnsupportedKind = errors.New("an event of a kind that is not stored")

// Decode reads one EventBridge event. Source: "Amazon ECS events" in the Amazon ECS Developer Guide.
// An error other than ErrUnsupportedKind means that the body is no event that ECS would send.
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
		return checked(record, task.LastStatus, err)
	case "ECS Container Instance State Change":
		instance, err := state.DecodeInstance(body)
		if err != nil {
			return state.Record{}, fmt.Errorf("event: %w", err)
		}
		record.Key, err = instance.Key()
		record.Version = instance.Version
		return checked(record, instance.Status, err)
	}
	if !jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
		return state.Record{}, errors.New("event: cut off")
	}
	return state.Record{}, fmt.Errorf("%w: %.100q", ErrUnsupportedKind, kind)
}

// detailType reads an event as far as its detail-type, which ECS sends before the detail.
func detailType(body []byte) (string, error) {
	fields := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if begin, err := fields.ReadToken(); err != nil {
		return "", err
	} else if begin.Kind() != '{' {
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
			return "", errors.New("the detail-type is no string")
		}
		return kind.String(), nil
	}
	return "", errors.New("no detail-type")
}

// checked refuses what could not be ordered or filtered later.
func checked(record state.Record, status string, err error) (state.Record, error) {
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
