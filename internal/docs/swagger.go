package docs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Specification is the part of a swagger file that the reference pages show.
type Specification struct {
	BasePath    string
	Paths       map[string]map[string]operation
	Definitions map[string]schema
	// Pages has the pages that describe definitions, by their names; the others are in objects.md.
	Pages map[string]string `json:"-"`
}

type operation struct {
	OperationID string
	Summary     string
	Description string
	Parameters  []struct {
		Name     string
		In       string
		Required bool
		Schema   *schema
		schema
	}
	Responses map[string]response
}

type response struct {
	Description string
	Schema      *schema
}

type schema struct {
	Ref         string `json:"$ref"`
	Type        string
	Format      string
	Description string
	Pattern     string
	Enum        []any
	Minimum     *float64
	Maximum     *float64
	MaxLength   *int
	MaxItems    *int
	MinItems    *int
	Default     any
	Items       *schema
	Required    []string
	Properties  properties
}

// properties are fields in the order of the file.
type properties []property

type property struct {
	name string
	schema
}

// UnmarshalJSON keeps the order of the fields.
func (p *properties) UnmarshalJSON(text []byte) error {
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		one := property{name: fmt.Sprint(name)}
		if err := decoder.Decode(&one.schema); err != nil {
			return err
		}
		*p = append(*p, one)
	}
	return nil
}

// ParseSwagger parses a swagger file.
func ParseSwagger(t *testing.T, text []byte) Specification {
	t.Helper()
	var s Specification
	require.NoError(t, json.Unmarshal(text, &s))
	return s
}

// methods are those of operations, in the order of the page.
var methods = []string{"get", "post", "patch", "delete"}

// Operations returns the operations in Markdown: a table of all, the statuses of most, and a section for each. Role
// returns the role that a request needs, and other has the summaries of requests that the file does not describe.
func (s Specification) Operations(role func(method, path string) string, other ...[2]string) string {
	all := Table{Header: []string{"operation", "role", "description"}}
	common := s.commonStatuses()
	var sections strings.Builder
	for _, path := range slices.Sorted(maps.Keys(s.Paths)) {
		for _, method := range methods {
			o, found := s.Paths[path][method]
			if !found {
				continue
			}
			method, full := strings.ToUpper(method), s.BasePath+path
			heading := method + " " + full
			all.Add("["+Code(heading)+"](#"+Anchor(heading)+")", role(method, full), Plain(o.Summary))
			fmt.Fprintf(&sections, "## %s\n\n%s\n\n", Plain(heading), Plain(o.Summary))
			if o.Description != "" {
				sections.WriteString(Plain(o.Description) + "\n\n")
			}
			sections.WriteString(o.parameterTable(s.link) + o.statusTable(s.link, common))
		}
	}
	for _, one := range other {
		method, path, _ := strings.Cut(one[0], " ")
		all.Add(Code(one[0]), role(method, path), one[1])
	}
	statuses := Table{Header: []string{"status", "description"}}
	for _, status := range slices.Sorted(maps.Keys(common)) {
		statuses.Add(status, Plain(common[status]))
	}
	return all.String() + "\n## Common statuses\n\nOther statuses stand below each operation.\n\n" + statuses.String() +
		"\n" + sections.String()
}

// commonStatuses returns the descriptions of errors that several operations share, by status. All operations with the
// status describe it alike.
func (s Specification) commonStatuses() map[string]string {
	descriptions := map[string]map[string]int{}
	for _, operations := range s.Paths {
		for _, o := range operations {
			for status, r := range o.Responses {
				if descriptions[status] == nil {
					descriptions[status] = map[string]int{}
				}
				descriptions[status][r.Description]++
			}
		}
	}
	common := map[string]string{}
	for status, texts := range descriptions {
		for text, operations := range texts {
			if status >= "400" && len(texts) == 1 && operations > 1 {
				common[status] = text
			}
		}
	}
	return common
}

func (o operation) parameterTable(link linker) string {
	parameters := Table{Header: []string{"parameter", "in", "accepts", "default", "description"}}
	for _, p := range o.Parameters {
		one := p.schema
		if p.Schema != nil {
			one.Ref, one.Items = p.Schema.Ref, p.Schema.Items
		}
		description, initial := splitDefault(one)
		if p.Required {
			initial = "required"
		}
		parameters.Add(Code(p.Name), p.In, one.accepts(link), initial, Plain(description))
	}
	if len(parameters.Rows) == 0 {
		return ""
	}
	return parameters.String() + "\n"
}

// statusTable returns the statuses that are not common to the operations.
func (o operation) statusTable(link linker, common map[string]string) string {
	statuses := Table{Header: []string{"status", "body", "description"}}
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		r, body := o.Responses[status], ""
		if common[status] == r.Description {
			continue
		}
		if r.Schema != nil && status < "300" {
			body = r.Schema.typeName(link)
		}
		statuses.Add(status, body, Plain(r.Description))
	}
	return statuses.String() + "\n"
}

// link returns a link to the section of a definition.
func (s Specification) link(name string) string {
	return "[" + name + "](" + cmp.Or(s.Pages[name], "objects.md") + "#" + Anchor(name) + ")"
}

// Fields returns the fields of definitions in Markdown, a section for each.
func (s Specification) Fields(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		definition := s.Definitions[name]
		fields := Table{Header: []string{"field", "accepts", "default", "description"}}
		for _, p := range definition.Properties {
			description, initial := splitDefault(p.schema)
			if slices.Contains(definition.Required, p.name) {
				initial = "required"
			}
			if description == "" && p.Ref != "" {
				description = s.Definitions[p.refName()].Description
			}
			fields.Add(Code(p.name), p.accepts(s.link), initial, Plain(description))
		}
		fmt.Fprintf(&b, "## %s\n\n%s\n\n", name, Plain(definition.Description))
		if len(fields.Rows) > 0 {
			b.WriteString(fields.String() + "\n")
		} else {
			fmt.Fprintf(&b, "Accepts: %s.\n\n", definition.accepts(s.link))
		}
	}
	return b.String()
}

// WithoutFieldsOf returns the specification with the definition name without the fields of the definition other.
func (s Specification) WithoutFieldsOf(name, other string) Specification {
	s.Definitions = maps.Clone(s.Definitions)
	definition := s.Definitions[name]
	definition.Properties = slices.DeleteFunc(slices.Clone(definition.Properties), func(p property) bool {
		return slices.ContainsFunc(s.Definitions[other].Properties, func(o property) bool { return o.name == p.name })
	})
	s.Definitions[name] = definition
	return s
}

// Reachable returns the definitions that the fields of root reach, root first, in the order of the fields.
func (s Specification) Reachable(root string) (names []string) {
	pending := []string{root}
	for len(pending) > 0 {
		name := pending[0]
		pending = pending[1:]
		if slices.Contains(names, name) {
			continue
		}
		names = append(names, name)
		for _, p := range s.Definitions[name].Properties {
			for one := &p.schema; one != nil; one = one.Items {
				if one.Ref != "" {
					pending = append(pending, one.refName())
				}
			}
		}
	}
	return names
}

func (s schema) refName() string { return strings.TrimPrefix(s.Ref, "#/definitions/") }

// linker returns a link to the section of a definition.
type linker func(name string) string

// typeName returns the type, with a link to the section of an object.
func (s schema) typeName(link linker) string {
	switch {
	case s.Ref != "":
		return link(s.refName())
	case s.Items != nil:
		return "list of " + s.Items.typeName(link)
	case s.Format == "date-time":
		return "time"
	case s.Format == "date":
		return "date"
	}
	return s.Type
}

// accepts returns the type and the bounds of a value.
func (s schema) accepts(link linker) string {
	text := s.typeName(link)
	if len(s.Enum) > 0 {
		var values []string
		for _, v := range s.Enum {
			values = append(values, fmt.Sprint(v))
		}
		return Codes(values)
	}
	switch number := func(n *float64) string { return strconv.FormatFloat(*n, 'f', -1, 64) }; {
	case s.Minimum != nil && s.Maximum != nil:
		text += " " + number(s.Minimum) + " to " + number(s.Maximum)
	case s.Minimum != nil:
		text += " from " + number(s.Minimum)
	case s.Maximum != nil:
		text += " up to " + number(s.Maximum)
	}
	if s.MaxLength != nil {
		text += fmt.Sprintf(" of up to %d characters", *s.MaxLength)
	}
	if s.MaxItems != nil {
		text += fmt.Sprintf(", up to %d", *s.MaxItems)
	}
	if s.Pattern != "" {
		text += " " + Code(s.Pattern)
	}
	return text
}

var defaultSentence = regexp.MustCompile(` ?\bDefault: ([^.]+)\.`)

// splitDefault splits the default off a description.
func splitDefault(s schema) (description, initial string) {
	if s.Default != nil {
		return s.Description, Code(fmt.Sprint(s.Default))
	}
	if found := defaultSentence.FindStringSubmatch(s.Description); found != nil {
		return strings.TrimSpace(strings.Replace(s.Description, found[0], "", 1)), Plain(found[1])
	}
	return s.Description, ""
}

var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N}\p{M}_\- ]`)

// Anchor returns the anchor that GitHub gives a heading.
func Anchor(heading string) string {
	return strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}
