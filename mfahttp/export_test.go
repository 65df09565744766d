package mfahttp

import "reflect"

// A Route is one operation of an API, for the test of its OpenAPI document.
type Route struct {
	Method, Path string
	Query        []string
	Body, Answer reflect.Type // nil and struct{} for none
}

// Routes returns the operations of a, without the document itself.
func (a *API) Routes() (all []Route) {
	for _, routes := range a.routes {
		for _, r := range routes {
			if r.path == "/openapi.json" {
				continue
			}
			all = append(all, Route{r.method, r.path, r.query, r.body, r.answer})
		}
	}
	return all
}

// ProblemType is that of every problem.
var ProblemType = reflect.TypeFor[problem]()

// Document is the OpenAPI document.
func Document() []byte { return openapi }

const MaxBody = maxBody
