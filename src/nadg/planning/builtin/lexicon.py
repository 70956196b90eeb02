"""English words that say nothing of what is to be done: of sentences, of orders, of data in general."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


GRAMMAR = _words(
    """a an the this that these those it its them they their theirs there some any all each every both own same
    i me my mine we us our ours you your yours he she his her
    of in on at to from for with into onto by per as about over under between within across through
    and or then also plus while when where which what whose who how that so such not no
    is are was were be been being am do does did done doing have has had having can could will would shall should
    may might must let lets please kindly just only very really too more most
    if than out up down off again once here if else one ones using via based after before
    first firstly second secondly third thirdly fourth fifth next finally lastly
    against versus vs along among upon during without"""
)
"""Words that hold a sentence together."""
GENERIC_VERBS = _words(
    """analyze analyse analyzing analysing make makes making create creates creating generate generates generating
    give gives giving show shows showing get gets getting produce produces producing perform performs performing
    run runs running use uses take takes taking tell compute computes computing calculate calculates calculating
    find finds finding provide provides providing prepare prepares preparing build builds building display
    displays displaying process processes processing handle handles determine determines detect detects detecting
    identify identifies identifying extract extracts extracting examine explore study investigate evaluate
    assess measure estimate check look need want like help conduct carry apply work try go see know load read open
    import given start begin output present obtain list add include including
    write writes writing put set"""
)
"""Verbs that only say that something is to be done."""
GENERIC_NOUNS = _words(
    """data dataset datasets file files table tables csv tsv json jsonl spreadsheet sheet record records row rows
    column columns column's entry entries item items input inputs value values thing things content contents
    information result results output outputs kind kinds type types number numbers set sets whole entire
    following above below new way set document documents customer customers user users client clients
    review reviews comment comments feedback message messages text texts image images photo photos picture
    pictures pic pics"""
)
"""Nouns that name what is worked on, whatever it is."""
PREPOSITIONS = _words(
    "of in on at to from for with into onto by per as about over between across using via against versus vs"
)
DETERMINERS = _words("a an the this that these those it them all each every my our your his her their me us")
DRAWINGS = _words("chart charts plot plots graph graphs diagram diagrams figure figures")
OTHER_DRAWINGS = _words(
    """pie box violin radar area bubble donut doughnut sankey tree candlestick gantt funnel stacked network surface
    contour polar waterfall density spider pair mosaic"""
)
"""Kinds of drawings: a skill that does not know the word draws something else."""
