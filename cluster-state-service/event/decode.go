// Package event takes ECS's events from a queue or a stream, decodes them and has them recorded.
package event

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/blox/blox/cluster-state-service/state"
)

// ErrNotStored is what Decode returns for well-formed events of kinds that Blox does not keep, such as service actions.
var ErrNotStored = errors.New("an event of a kind that is not stored")

// Decode reads one EventBridge event. Source: "Amazon ECS events" in the Amazon ECS Developer Guide.
// An error other than ErrNotStored means that the body is no event that ECS would send.
func Decode(body []byte) (state.Record, error) {
	var envelope struct {
		DetailType *string `json:"detail-type"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return state.Record{}, fmt.Errorf("event: %w", err)
	}
	if envelope.DetailType == nil {
		return state.Record{}, errors.New("event: no detail-type")
	}
	record := state.Record{Value: body}
	switch *envelope.DetailType {
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
	return state.Record{}, fmt.Errorf("%w: %.100q", ErrNotStored, *envelope.DetailType)
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
