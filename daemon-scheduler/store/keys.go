package store

import (
	"net/url"
	"strings"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// Prefixes of the keys, one for each kind of record.
const (
	EnvironmentPrefix = "ecs/environment/"
	LaunchPrefix      = "ecs/launch/"
	AttributePrefix   = "ecs/readiness/"
	ConditionsPrefix  = "ecs/condition/"
	HealthPrefix      = "ecs/health/"
	EventPrefix       = "ecs/event/"
	ResponsePrefix    = "ecs/response/"

	electionPrefix = "ecs/leader/daemon-scheduler"
)

// EnvironmentKey returns the key of an environment's record.
func EnvironmentKey(name string) string { return EnvironmentPrefix + name }

// EnvironmentName returns the name of the environment whose record has the key.
func EnvironmentName(key string) string { return strings.TrimPrefix(key, EnvironmentPrefix) }

// launchPrefix begins the keys of an environment's launches.
func launchPrefix(name string) string { return LaunchPrefix + name + "/" }

// LaunchKey returns the key of the launch record of an environment on a container instance.
func LaunchKey(name, instance string) string { return launchPrefix(name) + instance }

// ParseLaunchKey is the reverse of LaunchKey.
func ParseLaunchKey(key string) (name, instance string, ok bool) {
	return strings.Cut(strings.TrimPrefix(key, LaunchPrefix), "/")
}

// ConditionsKey returns the key of the observed conditions of an environment.
func ConditionsKey(name string) string { return ConditionsPrefix + name }

// ConditionsName is the reverse of ConditionsKey.
func ConditionsName(key string) string { return strings.TrimPrefix(key, ConditionsPrefix) }

// HealthKey returns the key of the health of an environment's task, given by its ARN.
func HealthKey(name, task string) string { return HealthPrefix + name + "/" + task }

// ParseHealthKey is the reverse of HealthKey.
func ParseHealthKey(key string) (name, task string, ok bool) {
	return strings.Cut(strings.TrimPrefix(key, HealthPrefix), "/")
}

// AttributeKey escapes the attribute's name, as it may contain slashes.
func AttributeKey(k environment.AttributeKey) string {
	return AttributePrefix + url.PathEscape(k.Name) + "/" + k.Instance
}

// ParseAttributeKey is the reverse of AttributeKey.
func ParseAttributeKey(key string) (k environment.AttributeKey, ok bool) {
	name, instance, ok := strings.Cut(strings.TrimPrefix(key, AttributePrefix), "/")
	attribute, err := url.PathUnescape(name)
	return environment.AttributeKey{Name: attribute, Instance: instance}, ok && err == nil
}
