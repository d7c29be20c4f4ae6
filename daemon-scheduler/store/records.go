package store

import (
	"encoding/json"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// The records that an environment has many of, and the environment's own, decode themselves: json.Unmarshal would read
// them twice more first.

// DecodeEnvironment decodes an environment's record.
func DecodeEnvironment(kv *mvccpb.KeyValue) (environment.Environment, error) {
	var e environment.Environment
	if err := e.UnmarshalJSON(kv.Value); err != nil {
		return e, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	e.Name = EnvironmentName(string(kv.Key))
	e.StoredVersion = kv.ModRevision
	e.Incarnation = kv.CreateRevision
	return e, nil
}

var launchStates = []environment.LaunchState{
	environment.LaunchReplacing, environment.LaunchOpen, environment.LaunchStarted, environment.LaunchFailed,
}

// DecodeLaunch decodes a launch's record.
func DecodeLaunch(kv *mvccpb.KeyValue) (environment.Launch, error) {
	var l environment.Launch
	if err := l.UnmarshalJSON(kv.Value); err != nil {
		return l, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	_, instance, ok := ParseLaunchKey(string(kv.Key))
	if !ok || !slices.Contains(launchStates, l.State) {
		return l, fmt.Errorf("decode %s: not a launch", kv.Key)
	}
	l.Instance = instance
	l.StoredVersion = kv.ModRevision
	return l, nil
}

// DecodeAttribute decodes a readiness attribute's record.
func DecodeAttribute(kv *mvccpb.KeyValue) (environment.ReadinessAttribute, error) {
	var a environment.ReadinessAttribute
	if err := a.UnmarshalJSON(kv.Value); err != nil {
		return a, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	key, ok := ParseAttributeKey(string(kv.Key))
	if !ok || a.Cluster == "" {
		return a, fmt.Errorf("decode %s: not a readiness attribute", kv.Key)
	}
	a.Name = key.Name
	a.Instance = key.Instance
	a.StoredVersion = kv.ModRevision
	return a, nil
}

// DecodeHealth decodes the health of a task.
func DecodeHealth(kv *mvccpb.KeyValue) (environment.TaskHealth, error) {
	var h environment.TaskHealth
	if err := json.Unmarshal(kv.Value, &h); err != nil {
		return h, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	var ok bool
	if h.Environment, h.Task, ok = ParseHealthKey(string(kv.Key)); !ok {
		return h, fmt.Errorf("decode %s: not the health of a task", kv.Key)
	}
	h.StoredVersion = kv.ModRevision
	return h, nil
}

// DecodeConditions decodes the observed conditions of an environment.
func DecodeConditions(kv *mvccpb.KeyValue) (environment.ObservedConditions, error) {
	var c environment.ObservedConditions
	if err := json.Unmarshal(kv.Value, &c); err != nil {
		return c, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	c.Environment = ConditionsName(string(kv.Key))
	c.StoredVersion = kv.ModRevision
	return c, nil
}
