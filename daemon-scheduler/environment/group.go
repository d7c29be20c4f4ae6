package environment

import (
	"fmt"

	"github.com/blox/blox/daemon-scheduler/query"
)

// Selector tells which container instances of its cluster an environment is for.
type Selector struct {
	attributes []Attribute
	query      query.Query
}

// Selector is the instances that spec is for. An error is about Query.
func (s Spec) Selector() (Selector, error) {
	parsed, err := query.Parse(s.Query)
	if err != nil {
		return Selector{}, fmt.Errorf("query: %w", err)
	}
	return Selector{s.Attributes, parsed}, nil
}

// Matches tells whether the instance has all of the attributes, and the query selects it.
func (g Selector) Matches(i Instance) bool {
	for _, a := range g.attributes {
		if value, ok := i.Attribute(a.Name); !ok || a.Value != "" && a.Value != value {
			return false
		}
	}
	return g.query.Matches(query.Instance{EC2InstanceID: i.EC2InstanceID, AgentConnected: i.AgentConnected, Attributes: i.Attributes})
}

// Selector tells which instances the canary runs on when it is given by a query; of one in percent it is all.
func (c Canary) Selector() (Selector, error) { return Spec{Query: c.Query}.Selector() }

// Counts is how many container instances an environment is for, and what they do.
type Counts struct {
	Desired  int // should have a task
	Running  int // have the task of the current deployment RUNNING
	Pending  int // have it live otherwise
	Outdated int // have a live task of another deployment
	Failed   int // have none, for a reason of their own
}
