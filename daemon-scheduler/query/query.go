// Package query selects container instances by a subset of ECS's cluster query language:
//
//	expression = subject operator argument | subject "exists" | subject "!exists"
//	           | expression "and" expression | expression "or" expression | "not" expression | "(" expression ")"
//	subject    = "attribute:" name | "ec2InstanceId" | "agentConnected" | "capacityProviderName"
//	           | "agentVersion" | "registeredAt"
//	operator   = "==" | "!=" | "=~" | "!~" | "in" | "not_in" | "<" | "<=" | ">" | ">="
//	argument   = word | 'text' | "text" | for in and not_in a list of them: [a, b] or (a, b)
//
// And takes precedence over or, and not over both. ECS's other spellings are accepted: equals, not_equals, matches,
// not_matches, less_than, less_than_equal, greater_than, greater_than_equal, !in, not_exists, &&, || and !. As in
// ECS, agentVersion and registeredAt, a date or a time, are the subjects with an order, and have neither patterns
// nor lists. ECS's runningTasksCount is no subject: the query's own decision would change it. A pattern, in RE2's
// syntax, must match the whole value. The negative operators are the exact opposites of the others: an instance
// without the attribute matches them. Text with other characters than letters, digits and _-./:*+?^$@%\ must be in
// quotes, within which no character is special.
//
//	attribute:ecs.instance-type =~ "(c5|c6g)[.].*" and attribute:ecs.os-type == linux and not attribute:gpu exists
package query

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"
)

// Limits of a query.
const (
	MaxBytes         = 4096
	maxNesting       = 32
	maxListItems     = 100  // items
	maxPatternBytes  = 256  // bytes
	maxComparisons   = 1000 // comparisons
	maxPatternStates = 5000 // of the automatons of all patterns
)

// Instance has the properties of a container instance that queries use.
type Instance struct {
	EC2InstanceID    string
	AgentConnected   bool
	AgentVersion     string     // such as 1.86.2; empty if unknown
	CapacityProvider string     // name; empty for none
	RegisteredAt     time.Time  // zero if unknown
	Attributes       Attributes // nil for none
}

// Attributes are an instance's attributes. Many have an empty value.
type Attributes interface {
	Attribute(name string) (value string, exists bool)
}

// Map implements Attributes.
type Map map[string]string

// Attribute returns the value of the named attribute.
func (m Map) Attribute(name string) (value string, exists bool) {
	value, exists = m[name]
	return value, exists
}

// Query is a parsed query. The zero Query matches every instance.
type Query struct {
	matches    predicate
	attributes map[string]bool // names
}

type predicate func(Instance) bool

// Matches reports whether the query selects the instance.
func (q Query) Matches(i Instance) bool { return q.matches == nil || q.matches(i) }

// Attributes returns the names of the attributes that the query compares, in order.
func (q Query) Attributes() []string { return slices.Sorted(maps.Keys(q.attributes)) }

// Error is an error in a query and its position.
type Error struct {
	Column int // of the character, from 1
	Text   string
}

func (e *Error) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Text) }

// Parse parses a query. A blank text gives the zero Query. An error is an *Error.
func Parse(text string) (Query, error) {
	if len(text) > MaxBytes {
		return Query{}, &Error{1, fmt.Sprintf("the query is longer than %d bytes", MaxBytes)}
	}
	tokens, err := tokenize(text)
	if err != nil {
		return Query{}, err
	}
	p := &parser{tokens: tokens, attributes: map[string]bool{}}
	if p.next().kind == tokenEnd {
		return Query{}, nil
	}
	matches, err := p.parseOr()
	if err == nil && p.next().kind != tokenEnd {
		err = p.errExpected("and, or or the end of the query")
	}
	if err != nil {
		return Query{}, err
	}
	return Query{matches, p.attributes}, nil
}

// subject returns the value that a comparison tests, and whether it exists.
type subject func(Instance) (value string, exists bool)

func attribute(name string) subject {
	return func(i Instance) (string, bool) {
		if i.Attributes == nil {
			return "", false
		}
		return i.Attributes.Attribute(name)
	}
}

func ec2InstanceID(i Instance) (string, bool) { return i.EC2InstanceID, i.EC2InstanceID != "" }

func capacityProviderName(i Instance) (string, bool) {
	return i.CapacityProvider, i.CapacityProvider != ""
}

func agentVersion(i Instance) (string, bool) { return i.AgentVersion, i.AgentVersion != "" }

func registeredAt(i Instance) (string, bool) { return "", !i.RegisteredAt.IsZero() }

func agentConnected(i Instance) (string, bool) {
	if i.AgentConnected {
		return "true", true
	}
	return "false", true
}

func (s subject) exists() predicate {
	return func(i Instance) bool { _, exists := s(i); return exists }
}

func (s subject) oneOf(values []string) predicate {
	return func(i Instance) bool {
		value, exists := s(i)
		return exists && slices.Contains(values, value)
	}
}

func (s subject) matchesPattern(pattern *regexp.Regexp) predicate {
	return func(i Instance) bool {
		value, exists := s(i)
		return exists && pattern.MatchString(value)
	}
}

func not(p predicate) predicate { return func(i Instance) bool { return !p(i) } }

func and(a, b predicate) predicate { return func(i Instance) bool { return a(i) && b(i) } }

func or(a, b predicate) predicate { return func(i Instance) bool { return a(i) || b(i) } }
