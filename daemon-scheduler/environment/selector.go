package environment

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/blox/blox/daemon-scheduler/query"
)

// Selector selects container instances of a cluster by their attributes and by a query.
type Selector struct {
	attributes []Attribute
	query      query.Query
}

// Selector returns the spec's selector. An error concerns Query.
func (s Spec) Selector() (Selector, error) {
	parsed, err := query.Parse(s.Query)
	if err != nil {
		return Selector{}, fmt.Errorf("query: %w", err)
	}
	return Selector{s.Attributes, parsed}, nil
}

// Matches reports whether the instance has all of the attributes and matches the query.
func (s Selector) Matches(i Instance) bool {
	for _, a := range s.attributes {
		if value, ok := i.Attribute(a.Name); !ok || a.Value != "" && a.Value != value {
			return false
		}
	}
	return s.query.Matches(query.Instance{
		EC2InstanceID: i.EC2InstanceID, AgentConnected: i.AgentConnected, AgentVersion: i.AgentVersion,
		CapacityProvider: i.CapacityProvider, RegisteredAt: i.RegisteredAt, Attributes: i.Attributes,
	})
}

// AttributesInUse returns the names of the attributes by which the deployed environment selects instances, and of those
// that it sets, in order. It leaves out ECS's own: only an agent that registers changes those, and ECS sends an event.
func (e Environment) AttributesInUse() []string {
	if _, deployed := e.Current(); !deployed || e.IsDeleting() {
		return nil
	}
	used := map[string]bool{}
	for _, spec := range e.SpecsInEffect() {
		used[spec.ReadinessAttribute] = true
		used[spec.DeploymentConfiguration.SpreadAttribute()] = true
		for _, a := range spec.Attributes {
			used[a.Name] = true
		}
		queries := []string{spec.Query}
		if c := spec.DeploymentConfiguration.Canary; c != nil {
			for _, step := range c.AllSteps() {
				queries = append(queries, step.Query)
			}
		}
		for _, text := range queries {
			parsed, _ := query.Parse(text) // a malformed query selects nothing by attributes
			for _, name := range parsed.Attributes() {
				used[name] = true
			}
		}
	}
	maps.DeleteFunc(used, func(name string, _ bool) bool { return name == "" || isECSAttribute(name) })
	return slices.Sorted(maps.Keys(used))
}

// isECSAttribute reports whether only ECS itself may set the attribute.
func isECSAttribute(name string) bool {
	return strings.HasPrefix(name, "ecs.") || strings.HasPrefix(name, "com.amazonaws.")
}

// Selector returns the step's instances if the step is given by a query. Otherwise it matches all instances.
func (s CanaryStep) Selector() (Selector, error) { return Spec{Query: s.Query}.Selector() }
