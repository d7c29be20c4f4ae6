package environment

import (
	"fmt"

	"github.com/blox/blox/daemon-scheduler/query"
)

// Group tells which container instances of its cluster an environment is for.
type Group struct {
	attributes []Attribute
	query      query.Query
}

// Group is the instances that spec is for. An error is about Query.
func (s Spec) Group() (Group, error) {
	parsed, err := query.Parse(s.Query)
	if err != nil {
		return Group{}, fmt.Errorf("query: %w", err)
	}
	return Group{s.Attributes, parsed}, nil
}

// Has tells whether the instance has all of the attributes, and the query selects it.
func (g Group) Has(i Instance) bool {
	for _, a := range g.attributes {
		if value, ok := i.Attribute(a.Name); !ok || a.Value != "" && a.Value != value {
			return false
		}
	}
	return g.query.Matches(query.Instance{EC2InstanceID: i.EC2InstanceID, AgentConnected: i.AgentConnected, Attributes: i.Attributes})
}

// Picks tells which instances the canary runs on when it is given by a query; of one in percent it is all.
func (c Canary) Picks() (Group, error) { return Spec{Query: c.Query}.Group() }

// Counts is how many container instances an environment is for, and what they do.
type Counts struct {
	Desired  int // should have a task
	Running  int // have the task of the current deployment RUNNING
	Pending  int // have it live otherwise
	Outdated int // have a live task of another deployment
	Failed   int // have none, for a reason of their own
}
