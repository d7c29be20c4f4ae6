package query

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// parser parses the tokens by recursive descent.
type parser struct {
	tokens      []token
	nesting     int
	comparisons int
	states      int // size of the automatons of all patterns
	attributes  map[string]bool
}

func (p *parser) next() token { return p.tokens[0] }

func (p *parser) advance() {
	if p.tokens[0].kind != tokenEnd {
		p.tokens = p.tokens[1:]
	}
}

// accept consumes the next token if it is one of these words or symbols, and reports whether it did.
func (p *parser) accept(spellings ...string) bool {
	for _, s := range spellings {
		if t := p.next(); t.text == s && (t.kind == tokenWord || t.kind == tokenSymbol) {
			p.advance()
			return true
		}
	}
	return false
}

// errExpected returns the error that the next token is not the expected one.
func (p *parser) errExpected(expected string) error {
	t := p.next()
	if t.kind == tokenEnd {
		return &Error{t.column, "the query ends where " + expected + " is expected"}
	}
	return &Error{t.column, fmt.Sprintf("%.40q is not %s", t.text, expected)}
}

func (p *parser) parseOr() (predicate, error) {
	return p.parseChain(p.parseAnd, or, "or", "||")
}

func (p *parser) parseAnd() (predicate, error) {
	return p.parseChain(p.parseNot, and, "and", "&&")
}

func (p *parser) parseChain(
	operand func() (predicate, error), join func(a, b predicate) predicate, spellings ...string,
) (predicate, error) {
	first, err := operand()
	for err == nil && p.accept(spellings...) {
		var second predicate
		if second, err = operand(); err == nil {
			first = join(first, second)
		}
	}
	return first, err
}

func (p *parser) parseNot() (predicate, error) {
	at := p.next().column
	if p.nesting++; p.nesting > maxNesting {
		return nil, &Error{at, fmt.Sprintf("nested deeper than %d", maxNesting)}
	}
	defer func() { p.nesting-- }()
	switch {
	case p.accept("not", "!"):
		negated, err := p.parseNot()
		if err != nil {
			return nil, err
		}
		return not(negated), nil
	case p.accept("("):
		inner, err := p.parseOr()
		if err == nil && !p.accept(")") {
			err = p.errExpected("a closing parenthesis, and or or")
		}
		return inner, err
	}
	return p.parseComparison()
}

// parseComparison parses a subject, an operator and its operands.
func (p *parser) parseComparison() (predicate, error) {
	if p.comparisons++; p.comparisons > maxComparisons {
		return nil, &Error{p.next().column, fmt.Sprintf("more than %d comparisons", maxComparisons)}
	}
	subject := p.next().text
	left, boolean, err := p.parseSubject()
	if err != nil {
		return nil, err
	}
	order, isOrdered := orderedSubjects[subject]
	switch {
	case p.accept("exists"):
		return left.exists(), nil
	case p.accept("not_exists"), p.acceptPair("!", "exists"):
		return not(left.exists()), nil
	case isOrdered:
		return p.parseOrder(order)
	case p.accept("==", "equals"):
		return p.parseEqual(left, boolean)
	case p.accept("!=", "not_equals"):
		return negated(p.parseEqual(left, boolean))
	case p.accept("=~", "matches"):
		return p.parsePattern(left)
	case p.accept("!~", "not_matches"):
		return negated(p.parsePattern(left))
	case p.accept("in"):
		return p.parseList(left, boolean)
	case p.accept("not_in"), p.acceptPair("!", "in"):
		return negated(p.parseList(left, boolean))
	}
	if at := p.next().column; p.accept("<", "<=", ">", ">=", "less_than", "less_than_equal", "greater_than",
		"greater_than_equal") {
		return nil, &Error{at, "only agentVersion and registeredAt have an order"}
	}
	return nil, p.errExpected("an operator: ==, !=, =~, !~, in, not_in, exists or !exists")
}

func negated(p predicate, err error) (predicate, error) {
	if err != nil {
		return nil, err
	}
	return not(p), nil
}

// acceptPair consumes the next two tokens if they are these, and reports whether it did.
func (p *parser) acceptPair(first, second string) bool {
	if t := p.next(); t.kind != tokenSymbol || t.text != first {
		return false
	}
	if t := p.tokens[1]; t.kind != tokenWord || t.text != second {
		return false
	}
	p.tokens = p.tokens[2:]
	return true
}

const (
	expectedSubject = "a subject: attribute:<name>, ec2InstanceId, agentConnected, agentVersion, " +
		"capacityProviderName or registeredAt"
	errTasksCount = "runningTasksCount cannot select instances: the daemon's own task would change it"
)

func (p *parser) parseSubject() (s subject, boolean bool, err error) {
	t := p.next()
	name, isAttribute := strings.CutPrefix(t.text, "attribute:")
	switch {
	case t.kind == tokenWord && isAttribute && name != "":
		s = attribute(name)
		p.attributes[name] = true
	case t.kind == tokenWord && t.text == "ec2InstanceId":
		s = ec2InstanceID
	case t.kind == tokenWord && t.text == "capacityProviderName":
		s = capacityProviderName
	case t.kind == tokenWord && t.text == "agentVersion":
		s = agentVersion
	case t.kind == tokenWord && t.text == "registeredAt":
		s = registeredAt
	case t.kind == tokenWord && t.text == "agentConnected":
		s = agentConnected
		boolean = true
	case t.kind == tokenWord && t.text == "runningTasksCount":
		return nil, false, &Error{t.column, errTasksCount}
	default:
		return nil, false, p.errExpected(expectedSubject)
	}
	p.advance()
	return s, boolean, nil
}

func (p *parser) parseArgument(boolean bool) (string, error) {
	t := p.next()
	switch {
	case t.kind != tokenWord && t.kind != tokenQuoted:
		return "", p.errExpected("a value")
	case boolean && t.text != "true" && t.text != "false":
		return "", p.errExpected("true or false")
	}
	p.advance()
	return t.text, nil
}

func (p *parser) parseEqual(s subject, boolean bool) (predicate, error) {
	value, err := p.parseArgument(boolean)
	if err != nil {
		return nil, err
	}
	return s.oneOf([]string{value}), nil
}

func (p *parser) parsePattern(s subject) (predicate, error) {
	at := p.next()
	text, err := p.parseArgument(false)
	if err != nil {
		return nil, err
	}
	if len(text) > maxPatternBytes {
		return nil, &Error{at.column, fmt.Sprintf("the pattern is longer than %d bytes", maxPatternBytes)}
	}
	if _, err := regexp.Compile(text); err != nil { // alone: it must not close the group below
		return nil, &Error{at.column, "not a pattern: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")}
	}
	whole := "^(?:" + text + ")$"
	if p.states += states(whole); p.states > maxPatternStates {
		return nil, &Error{at.column, "the patterns repeat too much"}
	}
	pattern, err := regexp.Compile(whole)
	if err != nil {
		return nil, &Error{at.column, "not a pattern: " + err.Error()}
	}
	return s.matchesPattern(pattern), nil
}

// states returns the size of a valid pattern's automaton. A short pattern such as .{1000} takes a thousand times as
// long to match as a dot.
func states(pattern string) int {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0 // regexp.Compile reports it
	}
	machine, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0
	}
	return len(machine.Inst)
}

func (p *parser) parseList(s subject, boolean bool) (predicate, error) {
	closing := "]"
	switch {
	case p.accept("["):
	case p.accept("("):
		closing = ")"
	default:
		return nil, p.errExpected("a list: [a, b]")
	}
	var values []string
	for {
		at := p.next().column
		value, err := p.parseArgument(boolean)
		if err != nil {
			return nil, err
		}
		if values = append(values, value); len(values) > maxListItems {
			return nil, &Error{at, fmt.Sprintf("more than %d values", maxListItems)}
		}
		if p.accept(closing) {
			return s.oneOf(values), nil
		}
		if !p.accept(",") {
			return nil, p.errExpected("a comma or " + closing)
		}
	}
}
