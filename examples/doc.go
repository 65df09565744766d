// Package examples holds programs that use the mfa library as a host application would, one folder each.
//
// It is a module of its own, so that a program using mfa never downloads what only the examples need.
package examples

import _ "github.com/seed-1320b244/mfa" // keeps the requirement in go.mod until the first program uses it
