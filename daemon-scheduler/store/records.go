package store

import (
	"encoding/json"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// DecodeEnvironment decodes an environment's record.
func DecodeEnvironment(kv *mvccpb.KeyValue) (environment.Environment, error) {
	var e environment.Environment
	if err := json.Unmarshal(kv.Value, &e); err != nil {
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
	if err := json.Unmarshal(kv.Value, &l); err != nil {
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
	if err := json.Unmarshal(kv.Value, &a); err != nil {
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
