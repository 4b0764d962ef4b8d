# How well does a smoother predict ozone from sun, wind and temperature? Cross-validation on R's own airquality data.
#
#   Rscript --vanilla examples/r/ozone.R SETTINGS.R
#
# SETTINGS.R assigns `method` ("loess" or "ppr", projection pursuit), `folds`, `repeats`, and what the method takes.
# After each repeat with new folds it prints the error over all repeats so far, in the unit of the cube root of ozone.

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) != 1) stop("usage: Rscript --vanilla ozone.R SETTINGS.R")
settings <- new.env()
sys.source(arguments[1], envir = settings)

weather <- na.omit(airquality[c("Ozone", "Solar.R", "Wind", "Temp")])
weather$root <- weather$Ozone^(1 / 3) # closer to normal than ozone itself
weather[c("Solar.R", "Wind", "Temp")] <- scale(weather[c("Solar.R", "Wind", "Temp")])
formula <- root ~ Solar.R + Wind + Temp

fit <- switch(settings$method,
  loess = function(data) {
    # "direct": days outside of what the model has seen get a prediction too
    loess(formula, data, span = settings$span, degree = settings$degree, control = loess.control(surface = "direct"))
  },
  ppr = function(data) ppr(formula, data = data, nterms = settings$terms, span = settings$width),
  stop("no method ", settings$method)
)

set.seed(1) # the same folds for all settings
squares <- c()
for (count in seq_len(settings$repeats)) {
  fold <- sample(rep_len(seq_len(settings$folds), nrow(weather)))
  for (left_out in seq_len(settings$folds)) {
    days <- weather[fold == left_out, ]
    squares <- c(squares, (predict(fit(weather[fold != left_out, ]), days) - days$root)^2)
  }
  cat(sprintf("repeat=%d rmse=%.5f\n", count, sqrt(mean(squares))))
}
