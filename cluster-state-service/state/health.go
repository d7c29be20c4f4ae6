package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// HealthChange is what an event reports about the health of a container instance. The event has neither a version nor
// the rest of the instance. Source: "Amazon ECS container instance health change events" in the Amazon ECS Developer
// Guide.
type HealthChange struct {
	Key    Key
	Health HealthStatus
}

// DecodeHealthChange decodes a health change event.
func DecodeHealthChange(event []byte) (c HealthChange, err error) {
	var detail struct {
		ClusterARN    string `json:"clusterArn"`
		ARN           string `json:"containerInstanceArn"`
		OverallStatus string `json:"overallStatus"`
	}
	c.Health.ChangedAt, err = decodeDetail(event, &detail)
	c.Health.OverallStatus = detail.OverallStatus
	if err != nil {
		return c, fmt.Errorf("health change: %w", err)
	}
	if detail.OverallStatus == "" {
		return c, errors.New("health change: no overall status")
	}
	if c.Health.changedAt().IsZero() {
		return c, errors.New("health change: no time")
	}
	c.Key, err = NewKey(KindInstance, detail.ClusterARN, detail.ARN)
	return c, err
}

func (h HealthStatus) changedAt() time.Time { return latest(h.ChangedAt, "") }

// MergeHealth returns a stored instance with the health that an event reports. changed is false if the stored health is
// newer or the same.
func MergeHealth(stored []byte, reported HealthStatus) (merged []byte, changed bool, err error) {
	instance, err := DecodeInstance(stored)
	if err != nil {
		return nil, false, err
	}
	known := instance.HealthStatus
	if known.ChangedAt == "" && known.OverallStatus != "" { // by Describe, as of its time
		known.ChangedAt = instance.RecordedAt
	}
	if !reported.changedAt().After(known.changedAt()) {
		return stored, false, nil
	}
	merged, err = withHealth(stored, reported)
	return merged, err == nil, err
}

// CarryHealth returns the event of an instance with the health of the record that it replaces: state change events do
// not contain it. It carries what a health change event reported, and an impairment that Describe found; Describe
// repeats the rest.
func CarryHealth(event []byte, replaced HealthStatus) []byte {
	if replaced.ChangedAt == "" && replaced.OverallStatus != "IMPAIRED" {
		return event
	}
	instance, err := DecodeInstance(event)
	if err != nil || instance.HealthStatus != (HealthStatus{}) {
		return event
	}
	merged, err := withHealth(event, replaced)
	if err != nil {
		return event
	}
	return merged
}

// withHealth replaces the health in a record. It keeps all other fields, also those that Blox does not know.
func withHealth(record []byte, health HealthStatus) ([]byte, error) {
	var envelope, detail map[string]json.RawMessage
	if err := json.Unmarshal(record, &envelope); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(envelope["detail"], &detail); err != nil { // v0.3 wrote Detail; nothing replaces that
		return nil, fmt.Errorf("detail: %w", err)
	}
	var err error
	if detail["healthStatus"], err = json.Marshal(health); err != nil {
		return nil, err
	}
	if envelope["detail"], err = json.Marshal(detail); err != nil {
		return nil, err
	}
	return json.Marshal(envelope)
}
