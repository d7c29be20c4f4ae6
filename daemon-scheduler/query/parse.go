package query

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// parser goes over the tokens once, by recursive descent.
type parser struct {
	tokens      []token
	nesting     int
	comparisons int
	states      int // of all patterns
}

func (p *parser) next() token { return p.tokens[0] }

func (p *parser) advance() token {
	t := p.tokens[0]
	if t.kind != tokenEnd {
		p.tokens = p.tokens[1:]
	}
	return t
}

// accept tells whether the next token is one of these words or symbols, and takes it.
func (p *parser) accept(spellings ...string) bool {
	for _, s := range spellings {
		if t := p.next(); t.text == s && (t.kind == tokenWord || t.kind == tokenSymbol) {
			p.advance()
			return true
		}
	}
	return false
}

// errExpected says that the next token is not what is expected.
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

func (p *parser) parseChain(operand func() (predicate, error), join func(a, b predicate) predicate, spellings ...string) (predicate, error) {
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

// parseComparison is a subject, an operator and what that needs.
func (p *parser) parseComparison() (predicate, error) {
	if p.comparisons++; p.comparisons > maxComparisons {
		return nil, &Error{p.next().column, fmt.Sprintf("more than %d comparisons", maxComparisons)}
	}
	of, boolean, err := p.parseSubject()
	if err != nil {
		return nil, err
	}
	switch {
	case p.accept("exists"):
		return of.exists(), nil
	case p.accept("not_exists"), p.acceptPair("!", "exists"):
		return not(of.exists()), nil
	case p.accept("==", "equals"):
		return p.equal(of, boolean)
	case p.accept("!=", "not_equals"):
		return negated(p.equal(of, boolean))
	case p.accept("=~", "matches"):
		return p.pattern(of)
	case p.accept("!~", "not_matches"):
		return negated(p.pattern(of))
	case p.accept("in"):
		return p.list(of, boolean)
	case p.accept("not_in"), p.acceptPair("!", "in"):
		return negated(p.list(of, boolean))
	}
	return nil, p.errExpected("an operator: ==, !=, =~, !~, in, not_in, exists or !exists")
}

func negated(p predicate, err error) (predicate, error) {
	if err != nil {
		return nil, err
	}
	return not(p), nil
}

// acceptPair takes two tokens that follow one another, or none.
func (p *parser) acceptPair(first, second string) bool {
	if p.next().kind != tokenSymbol || p.next().text != first || p.tokens[1].kind != tokenWord || p.tokens[1].text != second {
		return false
	}
	p.tokens = p.tokens[2:]
	return true
}

func (p *parser) parseSubject() (of subject, boolean bool, err error) {
	t := p.next()
	name, isAttribute := strings.CutPrefix(t.text, "attribute:")
	switch {
	case t.kind == tokenWord && isAttribute && name != "":
		of = attribute(name)
	case t.kind == tokenWord && t.text == "ec2InstanceId":
		of = ec2InstanceID
	case t.kind == tokenWord && t.text == "agentConnected":
		of, boolean = agentConnected, true
	default:
		return nil, false, p.errExpected("a subject: attribute:<name>, ec2InstanceId or agentConnected")
	}
	p.advance()
	return of, boolean, nil
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

func (p *parser) equal(of subject, boolean bool) (predicate, error) {
	value, err := p.parseArgument(boolean)
	if err != nil {
		return nil, err
	}
	return of.oneOf([]string{value}), nil
}

func (p *parser) pattern(of subject) (predicate, error) {
	at := p.next()
	text, err := p.parseArgument(false)
	if err != nil {
		return nil, err
	}
	if len(text) > maxPatternBytes {
		return nil, &Error{at.column, fmt.Sprintf("the pattern is longer than %d bytes", maxPatternBytes)}
	}
	if _, err := regexp.Compile(text); err != nil { // by itself: it must not reach out of the group below
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
	return of.matchesPattern(pattern), nil
}

// states is how large a pattern, which is one, is as a machine: .{1000} is short, and takes a thousand times as long as a dot to match.
func states(pattern string) int {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0 // as Compile tells
	}
	machine, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0
	}
	return len(machine.Inst)
}

func (p *parser) list(of subject, boolean bool) (predicate, error) {
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
			return of.oneOf(values), nil
		}
		if !p.accept(",") {
			return nil, p.errExpected("a comma or " + closing)
		}
	}
}
