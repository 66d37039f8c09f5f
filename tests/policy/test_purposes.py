"""The vocabulary of purposes."""

from __future__ import annotations

import pytest

from passersby.model.purposes import BROADER, DPV, OWN, PROHIBITED, is_prohibited, lineage


def test_the_vocabulary_is_whole() -> None:
    assert len(DPV) == 118
    assert all(term.startswith("dpv:") for term in DPV)
    assert all(term.startswith("passersby:") for term in OWN)
    assert {broader for terms in BROADER.values() for broader in terms} <= BROADER.keys()


def test_a_term_may_have_two_broader_ones() -> None:
    assert DPV["dpv:PersonalisedAdvertising"] == ("dpv:Advertising", "dpv:Personalisation")
    assert lineage("dpv:PersonalisedAdvertising") == {
        "dpv:PersonalisedAdvertising",
        "dpv:Advertising",
        "dpv:Personalisation",
        "dpv:Marketing",
    }


def test_no_term_is_broader_than_itself() -> None:
    for term, broader in BROADER.items():
        assert all(term not in lineage(other) for other in broader)


@pytest.mark.parametrize(
    ("term", "prohibited"),
    [
        ("passersby:ImmigrationEnforcement", True),
        ("dpv:RecruitmentTargetedAdvertising", True),
        ("dpv:PersonalisedAdvertising", False),
        ("dpv:AcademicResearch", False),
        ("no term at all", False),
    ],
)
def test_what_is_narrower_is_prohibited_too(term: str, prohibited: bool) -> None:
    assert is_prohibited(term) is prohibited


def test_what_is_ours_is_all_prohibited() -> None:
    assert all(is_prohibited(term) for term in OWN)
    assert BROADER.keys() >= PROHIBITED


def test_what_is_prohibited_for_every_licence() -> None:
    assert {term for term in BROADER if is_prohibited(term)} == {
        "passersby:ReIdentification",
        "passersby:OnwardTransferOfUnitRecords",
        "passersby:InferenceOfSensitiveTraits",
        "passersby:EnforcementAgainstIndividuals",
        "passersby:ImmigrationEnforcement",
        "dpv:IdentityAuthentication",
        "dpv:IdentityVerification",
        "dpv:PersonnelBehaviourMonitoring",
        "dpv:PersonnelMonitoring",
        "dpv:PersonnelPerformanceEvaluation",
        "dpv:PersonnelPerformanceManagement",
        "dpv:PersonnelPerformanceMonitoring",
        "dpv:PersonnelPerformancePrediction",
        "dpv:PoliticalCampaign",
        "dpv:RecruitmentApplicantBackgroundCheck",
        "dpv:RecruitmentApplicantCriminalBackgroundCheck",
        "dpv:RecruitmentTargetedAdvertising",
        "dpv:SellDataToThirdParties",
        "dpv:TargetedAdvertising",
    }
