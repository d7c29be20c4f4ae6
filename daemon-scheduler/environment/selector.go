package environment

import (
	"fmt"

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
		EC2InstanceID: i.EC2InstanceID, AgentConnected: i.AgentConnected, Attributes: i.Attributes,
	})
}

// Selector returns the canary's instances if the canary is given by a query. For one in percent it matches all
// instances.
func (c Canary) Selector() (Selector, error) { return Spec{Query: c.Query}.Selector() }
