package query

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ordered is a subject whose values are compared by their meaning. Its arguments are parsed together with the query.
type ordered struct {
	name string
	// parse returns a function that compares an instance's value with the argument, and whether the instance has one.
	parse func(argument string) (compareWith func(Instance) (order int, exists bool), err error)
}

// orderedSubjects are the subjects for <, <=, > and >=. ECS allows == and != beside these, but no pattern and no list.
var orderedSubjects = map[string]ordered{
	"agentVersion": {"agentVersion", parseAgentVersion},
	"registeredAt": {"registeredAt", parseRegisteredAt},
}

func parseAgentVersion(argument string) (func(Instance) (int, bool), error) {
	want, valid := versionParts(argument)
	if !valid {
		return nil, fmt.Errorf("%.40q is not a version such as 1.86.2", argument)
	}
	return func(i Instance) (int, bool) {
		got, known := versionParts(i.AgentVersion)
		return slices.Compare(got, want), known
	}, nil
}

// versionParts returns the numbers of a version without zeros at its end: 1.86 equals 1.86.0.
func versionParts(version string) (parts []uint64, valid bool) {
	for _, text := range strings.Split(version, ".") {
		number, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, false
		}
		parts = append(parts, number)
	}
	for len(parts) > 0 && parts[len(parts)-1] == 0 {
		parts = parts[:len(parts)-1]
	}
	return parts, true
}

// timeLayouts are ECS's; a time without a zone is in UTC.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", time.DateOnly}

func parseRegisteredAt(argument string) (func(Instance) (int, bool), error) {
	for _, layout := range timeLayouts {
		if want, err := time.Parse(layout, argument); err == nil {
			return func(i Instance) (int, bool) { return i.RegisteredAt.Compare(want), !i.RegisteredAt.IsZero() }, nil
		}
	}
	return nil, fmt.Errorf("%.40q is not a time such as 2026-01-31 or 2026-01-31T13:00:00Z", argument)
}

// orders are the operators of ordered subjects, by both spellings, and the results of a comparison that they accept.
var orders = []struct {
	symbol, word string
	accepts      func(order int) bool
}{
	{"==", "equals", func(order int) bool { return order == 0 }},
	{"<", "less_than", func(order int) bool { return order < 0 }},
	{"<=", "less_than_equal", func(order int) bool { return order <= 0 }},
	{">", "greater_than", func(order int) bool { return order > 0 }},
	{">=", "greater_than_equal", func(order int) bool { return order >= 0 }},
}

const expectedOrder = "an operator: ==, !=, <, <=, >, >=, exists or !exists"

// parseOrder parses an operator and the argument of an ordered subject.
func (p *parser) parseOrder(s ordered) (predicate, error) {
	if p.accept("!=", "not_equals") {
		return negated(p.parseOrderArgument(s, orders[0].accepts))
	}
	for _, o := range orders {
		if p.accept(o.symbol, o.word) {
			return p.parseOrderArgument(s, o.accepts)
		}
	}
	return nil, p.errExpected(expectedOrder)
}

func (p *parser) parseOrderArgument(s ordered, accepts func(order int) bool) (predicate, error) {
	column := p.next().column
	argument, err := p.parseArgument(false)
	if err != nil {
		return nil, err
	}
	compareWith, err := s.parse(argument)
	if err != nil {
		return nil, &Error{column, s.name + ": " + err.Error()}
	}
	return func(i Instance) bool {
		order, exists := compareWith(i)
		return exists && accepts(order)
	}, nil
}
