// Package ingest receives ECS events from a queue, decodes them and records them in batches.
// Its subpackage kinesis receives them from a stream.
package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/blox/blox/cluster-state-service/state"
)

// ErrUnsupportedKind reports a well-formed event of a kind that Blox does not store, such as a service action.
var ErrUnsupportedKind = errors.New("unsupported kind of event")

// lenient accepts the JSON that encoding/json accepts.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// Event is a decoded event of a task or container instance.
type Event struct {
	state.Record
	ChangedAt time.Time // when ECS made the change or sent the event, whichever is later; zero if the event has no time
	Live      bool      // the task has not stopped, or the instance has not left its cluster
}

// Decode decodes one EventBridge event. Source: "Amazon ECS events" in the Amazon ECS Developer Guide.
// An error other than ErrUnsupportedKind means that the event is malformed.
func Decode(body []byte) (Event, error) {
	kind, err := detailType(body)
	if err != nil {
		return Event{}, fmt.Errorf("event: %w", err)
	}
	event := Event{Record: state.Record{Value: body}}
	switch kind {
	case "ECS Task State Change":
		task, err := state.DecodeTask(body)
		if err != nil {
			return Event{}, fmt.Errorf("event: %w", err)
		}
		event.Key, err = task.Key()
		event.Version = task.Version
		event.ChangedAt = task.LastChanged()
		event.Live = task.LastStatus != "STOPPED" && task.LastStatus != "DELETED"
		return validate(event, task.LastStatus, err)
	case "ECS Container Instance State Change":
		instance, err := state.DecodeInstance(body)
		if err != nil {
			return Event{}, fmt.Errorf("event: %w", err)
		}
		event.Key, err = instance.Key()
		event.Version = instance.Version
		event.ChangedAt = instance.LastChanged()
		event.Live = instance.Status != "INACTIVE"
		return validate(event, instance.Status, err)
	}
	if !jsontext.Value(body).IsValid(lenient) {
		return Event{}, errors.New("event: invalid JSON")
	}
	return Event{}, fmt.Errorf("%w: %.100q", ErrUnsupportedKind, kind)
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

// validate rejects events that have no version or status: they could not be ordered or filtered.
func validate(event Event, status string, err error) (Event, error) {
	switch {
	case err != nil:
		return Event{}, fmt.Errorf("event: %w", err)
	case event.Version < 1:
		return Event{}, fmt.Errorf("event: %s has no version", event.Key)
	case status == "":
		return Event{}, fmt.Errorf("event: %s has no status", event.Key)
	}
	return event, nil
}
