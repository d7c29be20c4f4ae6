package store

import "strings"

const (
	environments = "ecs/environment/"
	launches     = "ecs/launch/"
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
