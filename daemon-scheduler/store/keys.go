package store

import (
	"net/url"
	"strings"

	"github.com/blox/blox/daemon-scheduler/environment"
)

const (
	environments = "ecs/environment/"
	launches     = "ecs/launch/"
	marks        = "ecs/readiness/"
	events       = "ecs/event/"
	leader       = "ecs/leader/daemon-scheduler"
)

func environmentKey(name string) string { return environments + name }

// launchPrefix begins the keys of an environment's launches.
func launchPrefix(name string) string { return launches + name + "/" }

func launchKey(name, instance string) string { return launchPrefix(name) + instance }

// launchOf is the reverse of launchKey.
func launchOf(key string) (name, instance string, ok bool) {
	return strings.Cut(strings.TrimPrefix(key, launches), "/")
}

// markKey has the attribute's name escaped, as slashes may be in it.
func markKey(k environment.AttributeKey) string {
	return marks + url.PathEscape(k.Name) + "/" + k.Instance
}

// markOf is the reverse of markKey.
func markOf(key string) (k environment.AttributeKey, ok bool) {
	name, instance, ok := strings.Cut(strings.TrimPrefix(key, marks), "/")
	attribute, err := url.PathUnescape(name)
	return environment.AttributeKey{Name: attribute, Instance: instance}, ok && err == nil
}
