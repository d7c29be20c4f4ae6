package ecssim

import (
	"slices"
	"strings"
	"unicode/utf8"
)

type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Limits of tags. Source: Tag in the Amazon ECS API Reference.
const (
	maxTags     = 50
	maxTagKey   = 128 // characters
	maxTagValue = 256 // characters
)

// managedTagPrefix begins the keys of the tags that ECS itself sets.
const managedTagPrefix = "aws:ecs:"

// validateTags checks the tags of a request.
func validateTags(tags []tag) error {
	if len(tags) > maxTags {
		return invalid("Too many tags: a resource can have at most %d.", maxTags)
	}
	seen := map[string]bool{}
	for _, t := range tags {
		key, value := utf8.RuneCountInString(t.Key), utf8.RuneCountInString(t.Value)
		switch {
		case key < 1 || key > maxTagKey:
			return invalid("Tag key %.200q must have 1 to %d characters.", t.Key, maxTagKey)
		case value > maxTagValue:
			return invalid("The value of tag %.200q must have at most %d characters.", t.Key, maxTagValue)
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return invalid("Tag key %.200q must not begin with aws:, which is reserved.", t.Key)
		case seen[t.Key]:
			return invalid("Duplicate tag key %.200q.", t.Key)
		}
		seen[t.Key] = true
	}
	return nil
}

// tagsOfTask returns the tags of a new task: those of the request, then those of the task definition if they are
// propagated, then ECS's own.
func (s *Sim) tagsOfTask(c *cluster, d *definition, in taskInput) ([]tag, error) {
	propagate := in.PropagateTags == "TASK_DEFINITION"
	switch {
	case !propagate && in.PropagateTags != "" && in.PropagateTags != "NONE":
		return nil, invalid("Invalid propagateTags %.100q: a task can have the tags of its TASK_DEFINITION, or NONE.",
			in.PropagateTags)
	case s.cfg.ShortARNs && (len(in.Tags) > 0 || propagate || in.EnableManagedTags):
		return nil, invalid("Long arn format must be used for tagging operations")
	}
	if err := validateTags(in.Tags); err != nil {
		return nil, err
	}
	tags := slices.Clone(in.Tags)
	if propagate {
		tags = addTags(tags, d.tags)
	}
	if in.EnableManagedTags {
		tags = addTags(tags, []tag{{managedTagPrefix + "clusterName", c.name}})
	}
	return tags, nil
}

// addTags returns tags with those of more whose keys it does not have.
func addTags(tags, more []tag) []tag {
	for _, t := range more {
		if !slices.ContainsFunc(tags, func(present tag) bool { return present.Key == t.Key }) {
			tags = append(tags, t)
		}
	}
	return tags
}
