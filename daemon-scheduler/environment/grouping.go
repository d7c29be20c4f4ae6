package environment

import (
	"fmt"
	"regexp"
	"strings"
)

// Grouping is a property by which people group container instances: "attribute:<name>", "agentVersion",
// "capacityProviderName", or empty for none.
type Grouping string

// wellFormedGrouping accepts the names of attributes that ECS accepts.
var wellFormedGrouping = regexp.MustCompile(`^(attribute:[a-zA-Z0-9_.\\/-]{1,128}|agentVersion|capacityProviderName)$`)

// AcceptedGroupings says what ParseGrouping accepts.
const AcceptedGroupings = "attribute:NAME, agentVersion or capacityProviderName"

// ParseGrouping returns an error if text is no grouping.
func ParseGrouping(text string) (Grouping, error) {
	if text != "" && !wellFormedGrouping.MatchString(text) {
		return "", fmt.Errorf("grouping %.100q: must be %s", text, AcceptedGroupings)
	}
	return Grouping(text), nil
}

// ValueFor returns the instance's value of the property; empty if it has none.
func (g Grouping) ValueFor(i Instance) string {
	switch g {
	case "":
		return ""
	case "agentVersion":
		return i.AgentVersion
	case "capacityProviderName":
		return i.CapacityProvider
	}
	value, _ := i.Attribute(strings.TrimPrefix(string(g), spreadPrefix))
	return value
}
