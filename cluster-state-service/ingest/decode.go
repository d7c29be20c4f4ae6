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

// ecsSource is the source of ECS's own events. Others can send events to the same queue.
const ecsSource = "aws.ecs"

// ErrUnsupportedKind reports a well-formed event of a kind that Blox does not store, such as a service action, or of
// another source than ECS.
var ErrUnsupportedKind = errors.New("unsupported kind of event")

// lenient accepts the JSON that encoding/json accepts.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// Event is a decoded event of a task or container instance.
type Event struct {
	state.Record
	ChangedAt time.Time // when ECS made the change or sent the event, whichever is later; zero if the event has no time
	Live      bool      // the task has not stopped, or the instance has not left its cluster
}

// decodeTask decodes the event of a task, as state.DecodeTask does.
type decodeTask func(value []byte) (state.Task, error)

// Decode decodes one EventBridge event. Source: "Amazon ECS events" in the Amazon ECS Developer Guide.
// An error other than ErrUnsupportedKind means that the event is malformed.
func Decode(body []byte) (Event, error) { return decode(body, state.DecodeTask) }

func decode(body []byte, decodeTask decodeTask) (Event, error) {
	source, kind, err := sourceAndKind(body)
	if errors.Is(err, errNoDetailType) {
		if inner := snsMessage(body); inner != nil {
			body = inner
			source, kind, err = sourceAndKind(body)
		}
	}
	if err != nil {
		return Event{}, fmt.Errorf("event: %w", err)
	}
	if source != ecsSource {
		if !jsontext.Value(body).IsValid(lenient) {
			return Event{}, errors.New("event: invalid JSON")
		}
		return Event{}, fmt.Errorf("%w: source %.100q", ErrUnsupportedKind, source)
	}
	event := Event{Record: state.Record{Value: body}}
	switch kind {
	case "ECS Task State Change":
		task, err := decodeTask(body)
		if err != nil {
			return Event{}, fmt.Errorf("event: %w", err)
		}
		event.Key, err = task.Key()
		event.Version = task.Version
		event.ChangedAt = task.LastChanged()
		event.Live = !task.HasStopped()
		return validate(event, task.LastStatus, err)
	case instanceHealthChange:
		change, err := state.DecodeHealthChange(body)
		if err != nil {
			return Event{}, fmt.Errorf("event: %w", err)
		}
		event.Key, event.Health = change.Key, &change.Health
		return event, nil
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
	return Event{}, unsupportedKind(kind)
}

// instanceHealthChange is the detail-type of events of the health of container instances. They report the failure of a
// managed daemon, too.
const instanceHealthChange = "ECS Container Instance Health Change"

// unsupportedKind is the detail-type of an event that Blox does not store.
type unsupportedKind string

func (k unsupportedKind) Error() string {
	return fmt.Sprintf("%v: %.100q", ErrUnsupportedKind, string(k))
}

func (k unsupportedKind) Is(target error) bool { return target == ErrUnsupportedKind }

// skippedLabel returns the label in metrics of an event that was skipped with err.
func skippedLabel(err error) string {
	var kind unsupportedKind // stays empty for an event that ECS has not sent
	errors.As(err, &kind)
	return kind.label()
}

// label returns the label of the kind in metrics.
func (k unsupportedKind) label() string {
	switch {
	case strings.HasPrefix(string(k), "ECS Daemon "):
		return "daemon"
	case strings.HasPrefix(string(k), "ECS Service "), strings.HasPrefix(string(k), "ECS Deployment "):
		return "service"
	}
	return "other"
}

var errNoDetailType = errors.New("no detail-type")

// snsMessage returns the event in a notification of Amazon SNS without raw message delivery; nil if body is none.
func snsMessage(body []byte) []byte {
	var notification struct{ Type, TopicArn, Message string }
	err := json.Unmarshal(body, &notification, lenient)
	if err != nil || notification.Type != "Notification" || notification.TopicArn == "" {
		return nil
	}
	return []byte(notification.Message)
}

// sourceAndKind returns the source and the detail-type of an event. It reads no further, because EventBridge sends both
// before the detail.
func sourceAndKind(body []byte) (source, kind string, err error) {
	fields := jsontext.NewDecoder(bytes.NewBuffer(body), lenient)
	begin, err := fields.ReadToken()
	if err != nil {
		return "", "", err
	}
	if begin.Kind() != '{' {
		return "", "", errors.New("not an object")
	}
	for fields.PeekKind() != '}' && (source == "" || kind == "") {
		name, err := fields.ReadToken()
		if err != nil {
			return "", "", err
		}
		field := name.String()
		var target *string
		switch { // in any case, as in the rest of the event
		case strings.EqualFold(field, "source"):
			target = &source
		case strings.EqualFold(field, "detail-type"):
			target = &kind
		default:
			if err := fields.SkipValue(); err != nil {
				return "", "", err
			}
			continue
		}
		value, err := fields.ReadToken()
		if err != nil {
			return "", "", err
		}
		if value.Kind() != '"' {
			return "", "", fmt.Errorf("%s is not a string", strings.ToLower(field))
		}
		*target = value.String()
	}
	if kind == "" {
		return "", "", errNoDetailType
	}
	return source, kind, nil
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
