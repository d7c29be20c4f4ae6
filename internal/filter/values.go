// Package filter has the filters that the lists of both services share.
package filter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxValues is the maximum number of values of one filter: each is compared with every entity.
const MaxValues = 100

// ErrInvalid matches every ParameterError.
var ErrInvalid = errors.New("invalid query parameter")

// ParameterError reports an invalid query parameter. Its text is for clients.
type ParameterError struct {
	Parameter string
	Given     string
	Accepted  string // what the parameter accepts
}

func (e *ParameterError) Error() string {
	return fmt.Sprintf("Invalid %s %.100q: must be %s", e.Parameter, e.Given, e.Accepted)
}

// Is makes every ParameterError match ErrInvalid.
func (e *ParameterError) Is(target error) bool { return target == ErrInvalid }

// Values is a filter by a list of values. An entity matches if the list contains its value or, if Excluded, if it does
// not. The zero value matches every entity.
type Values struct {
	List     []string
	Excluded bool
}

// ParseValues parses values that are separated by commas. A leading exclamation mark excludes them. An accepted value
// may be given in any case; nil accepts all values.
func ParseValues(parameter, s string, accepted []string) (v Values, err error) {
	if s == "" {
		return v, nil
	}
	invalid := func(accepted string) (Values, error) { return Values{}, &ParameterError{parameter, s, accepted} }
	list, excluded := strings.CutPrefix(s, "!")
	v = Values{List: strings.Split(list, ","), Excluded: excluded}
	if len(v.List) > MaxValues {
		return invalid("at most 100 values")
	}
	const several = "separated by commas, after one ! to exclude them"
	for i, value := range v.List {
		if value == "" || value[0] == '!' {
			return invalid("values " + several)
		}
		if accepted == nil {
			continue
		}
		at := slices.IndexFunc(accepted, func(a string) bool { return strings.EqualFold(a, value) })
		if at < 0 {
			return invalid(enumerate(accepted) + "; several " + several)
		}
		v.List[i] = accepted[at]
	}
	return v, nil
}

// enumerate joins words: a, b or c.
func enumerate(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// IsEmpty reports whether the filter is not set.
func (v Values) IsEmpty() bool { return len(v.List) == 0 }

// Only returns the one value that entities must have, if there is just one.
func (v Values) Only() (value string, ok bool) {
	if len(v.List) != 1 || v.Excluded {
		return "", false
	}
	return v.List[0], true
}

// Matches reports whether an entity with the value matches.
func (v Values) Matches(value string) bool {
	return v.IsEmpty() || slices.Contains(v.List, value) != v.Excluded
}

// MatchesFunc is Matches with a comparison of its own.
func (v Values) MatchesFunc(equal func(string) bool) bool {
	return v.IsEmpty() || slices.ContainsFunc(v.List, equal) != v.Excluded
}

// MatchesARNOrID is Matches for ARNs; a value is an ARN or the part after its last slash.
func (v Values) MatchesARNOrID(arn string) bool {
	return v.MatchesFunc(func(value string) bool { return value == arn || strings.HasSuffix(arn, "/"+value) })
}
