package swagger_test

import (
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	css "github.com/blox/blox/swagger/cluster-state-service/v1"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1"
)

// swaggerFiles are the swagger files as the services serve them.
var swaggerFiles = map[string][]byte{"cluster-state-service": css.JSON, "daemon-scheduler": ds.JSON}

// v03 is the API of v0.3: facts that code generated for it relies on.
//
//go:embed testdata/v0.3.txt
var v03 string

// document is the part of a swagger file that the generated code depends on.
type document struct {
	Host        string                          `json:"host"`
	Paths       map[string]map[string]operation `json:"paths"`
	Definitions map[string]schema               `json:"definitions"`
}

type operation struct {
	OperationID string `json:"operationId"`
	Parameters  []struct {
		Name     string  `json:"name"`
		In       string  `json:"in"`
		Required bool    `json:"required"`
		Schema   *schema `json:"schema"`
		schema
	} `json:"parameters"`
	Responses map[string]struct {
		Schema *schema `json:"schema"`
	} `json:"responses"`
}

type schema struct {
	Ref        string            `json:"$ref"`
	Type       string            `json:"type"`
	Format     string            `json:"format"`
	Enum       []string          `json:"enum"`
	Items      *schema           `json:"items"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
}

// name returns the schema in the notation of testdata/v0.3.txt.
func (s *schema) name() string {
	switch {
	case s == nil:
		return "-"
	case s.Ref != "":
		return strings.TrimPrefix(s.Ref, "#/definitions/")
	case s.Items != nil:
		return "[]" + s.Items.name()
	case s.Format != "":
		return s.Type + "/" + s.Format
	case len(s.Enum) > 0:
		return s.Type + "(" + strings.Join(s.Enum, "|") + ")"
	}
	return s.Type
}

// facts returns the rows of testdata/v0.3.txt that describe the document, each with its heading.
func (d document) facts() (facts []string) {
	mark := func(name string, required bool) string {
		if required {
			return name + "!"
		}
		return name
	}
	facts = append(facts, "host "+d.Host)
	for path, operations := range d.Paths {
		for method, o := range operations {
			heading := strings.ToUpper(method) + " " + path + " " + o.OperationID
			facts = append(facts, heading)
			for _, p := range o.Parameters {
				kind := p.Schema
				if kind == nil {
					kind = &p.schema
				}
				facts = append(facts, heading+": "+p.In+" "+mark(p.Name, p.Required)+" "+kind.name())
			}
			for status, response := range o.Responses {
				facts = append(facts, heading+": "+status+" "+response.Schema.name())
			}
		}
	}
	for definition, s := range d.Definitions {
		if s.Properties == nil {
			facts = append(facts, definition+" "+s.name())
			continue
		}
		facts = append(facts, definition)
		for name, property := range s.Properties {
			required := slices.Contains(s.Required, name)
			facts = append(facts, definition+": "+mark(name, required)+" "+property.name())
		}
	}
	return facts
}

// factsOfV03 returns the rows of a service in the form of document.facts.
func factsOfV03(service string) (facts []string) {
	section, heading := "", ""
	for line := range strings.Lines(v03) {
		row := strings.TrimSpace(line)
		switch {
		case row == "" || strings.HasPrefix(row, "#"):
		case strings.HasPrefix(row, "["):
			section = strings.Trim(row, "[]")
		case section != service:
		case strings.HasPrefix(line, " "):
			facts = append(facts, heading+": "+row)
		default:
			heading = row
			facts = append(facts, heading)
		}
	}
	return facts
}

// Code generated from v0.3's swagger files compiles against code generated from today's: what v0.3 had keeps its name,
// type and place, and nothing of it became required.
func TestSwagger_KeepsV03(t *testing.T) {
	for _, service := range []string{"cluster-state-service", "daemon-scheduler"} {
		t.Run(service, func(t *testing.T) {
			var d document
			require.NoError(t, json.Unmarshal(swaggerFiles[service], &d))
			today := d.facts()
			want := factsOfV03(service)
			assert.Greater(t, len(want), 50)
			for _, fact := range want {
				assert.True(t, slices.Contains(today, fact), "the swagger file lacks: %s", fact)
			}
		})
	}
}

// A client of v0.3 sends none of the fields and parameters that are new.
func TestSwagger_RequiresNothingNewOfRequests(t *testing.T) {
	for _, service := range []string{"cluster-state-service", "daemon-scheduler"} {
		var d document
		require.NoError(t, json.Unmarshal(swaggerFiles[service], &d))
		known := factsOfV03(service)
		for _, fact := range d.facts() {
			heading, row, _ := strings.Cut(fact, ": ")
			isRequest := heading == "CreateEnvironmentRequest" || heading == "InstanceGroup" || strings.Contains(heading, "/")
			if isRequest && slices.Contains(known, heading) && strings.Contains(row, "! ") {
				assert.True(t, slices.Contains(known, fact), "required of a request, but not by v0.3: %s", fact)
			}
		}
	}
}
